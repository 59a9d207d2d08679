-- A small mail server to try things on: what ./quickstart loads after schema/sqlite.sql. It suits
-- PostgreSQL and MariaDB as well, after their schemas.

BEGIN;

INSERT INTO domain (domain) VALUES ('example.com'), ('example.org');

-- Alice's password is wonderland, Bob's is builder; nobody logs in to the archive. Bob fetches his mail by
-- POP3, so IMAP is closed to him. Alice may keep 1 GB, Bob 2 MB.
INSERT INTO mailbox (username, name, password, imap_active, quota) VALUES
	('alice@example.com', 'Alice Liddell',
		'{SHA512-CRYPT}$6$rabbithole$fFrIiKLfPZFYGN7b060szZZt3twE.bqAWAz3y2YaRwpTEG43IeLjzPDN3gITgpEzfXrE6MrspzGu9LEWtji49/',
		1, 1000000000),
	('bob@example.com', 'Bob the Builder',
		'$6$canwefixit$TYB0s/UEckRwLkO4Lgy9XY.jXxPUxfHrZl1S52Z1yGxS6iF3gYaET88vyGGC3qlBG9o29jlqfPSL2vdd0H0xt0',
		0, 2000000),
	('archive@example.com', 'Copies of mail', NULL, 1, 0);

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
