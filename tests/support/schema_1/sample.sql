-- A small mail server to try things on: what ./quickstart loads after schema/sqlite.sql. It suits
-- PostgreSQL and MariaDB as well, after their schemas.

BEGIN;

INSERT INTO domain (domain) VALUES ('example.com'), ('example.org');

INSERT INTO mailbox (username) VALUES
	('alice@example.com'), ('bob@example.com'), ('archive@example.com');

-- An alias, a list, and a domain where one person reads everything.
INSERT INTO alias (address, goto) VALUES
	('info@example.com', 'alice@example.com'),
	('list@example.com', 'alice@example.com,bob@example.com'),
	('@example.org', 'alice@example.com');

-- example.net is another name of example.com.
INSERT INTO alias_domain (alias_domain, target_domain) VALUES ('example.net', 'example.com');

-- A domain whose mail goes on to another server, and how it gets there.
INSERT INTO relay_domain (domain) VALUES ('branch.example');
INSERT INTO transport (destination, transport) VALUES ('branch.example', 'smtp:[192.0.2.25]');

-- The archive gets a copy of what alice sends and of what bob receives.
INSERT INTO sender_bcc (address, goto) VALUES ('alice@example.com', 'archive@example.com');
INSERT INTO recipient_bcc (address, goto) VALUES ('bob@example.com', 'archive@example.com');

-- Bob may write as info@.
INSERT INTO sender_login (sender, login) VALUES ('info@example.com', 'bob@example.com');

-- A network and a domain that are not welcome.
INSERT INTO client_access (client, action) VALUES ('198.51.100', 'REJECT');
INSERT INTO sender_access (sender, action) VALUES ('spam.example', 'REJECT');

COMMIT;
