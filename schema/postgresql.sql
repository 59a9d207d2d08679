-- The tables for the maps and dictionaries in postfix-maps/tabled.conf, for PostgreSQL 12 and later.
--
--     createdb --encoding=UTF8 --template=template0 mail
--     psql --set=ON_ERROR_STOP=1 --file=schema/postgresql.sql mail
--     psql --command='GRANT SELECT ON ALL TABLES IN SCHEMA public TO tabled' mail
--     psql --command='GRANT DELETE ON tabled_change TO tabled' mail
--
-- And where Dovecot is to write to tables, for each of those it may write to:
--
--     psql --command='GRANT INSERT, UPDATE, DELETE ON quota, last_login TO tabled' mail
--
-- Rules that hold for all tables:
--   * Postfix folds what it asks for, so keys are stored in lower case; a row in mixed case
--     would never be found, and a CHECK refuses it. Beyond ASCII, Unicode case folding counts:
--     store grüsse for grüße.
--   * An address has the form of a mail header: "john doe"@example.com with its quotes.
--   * active = 0 hides a row from Postfix without losing it.
--   * `localpart` and `domain` are made from their address, so they cannot disagree with it; as is
--     `quota_rule` from `quota`.
--   * Texts compare byte by byte (COLLATE "C"). An index in a language's order can become wrong by an
--     upgrade of the C library, and then rows are not found that are there.

BEGIN;

-- Domains whose mail ends here, in mailboxes or by aliases.
--   * backup_mx = 1: it ends on another server, and this one keeps it while that is away. Who gets mail
--     there is in `relay_recipient`.
--   * transport is the way to all of the domain, unless `transport` (the table) has a better one.
CREATE TABLE domain (
	domain      text COLLATE "C" PRIMARY KEY CHECK (domain = lower(domain) AND domain <> ''),
	active      smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	backup_mx   smallint NOT NULL DEFAULT 0 CHECK (backup_mx IN (0, 1)),
	transport   text COLLATE "C" CHECK (transport <> ''),
	description text NOT NULL DEFAULT ''
);

-- Accounts. The user name is the address. Postfix needs no more than that; the rest is for Dovecot:
--   * password is what `doveadm pw` prints; without {SCHEME} it is a hash of crypt(3). NULL: no login.
--   * quota is in bytes, 0 for no limit.
--   * home, uid, gid and mail (its mail_location) are NULL where those of dovecot.conf hold.
--   * host is another server that has the mailbox: logins are passed on to it.
--   * allow_nets is where logins may come from: '192.0.2.0/24,2001:db8::/32'. Where all others are kept
--     out, an account may have nopassword = 1.
--   * imap_active, pop3_active, smtp_active and sieve_active = 0 refuse logins by that protocol, and
--     nothing else: mail is still delivered.
CREATE TABLE mailbox (
	username     text COLLATE "C" PRIMARY KEY CHECK (username = lower(username) AND username LIKE '_%@%'),
	active       smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	name         text NOT NULL DEFAULT '',
	password     text CHECK (password <> ''),
	nopassword   smallint NOT NULL DEFAULT 0 CHECK (nopassword IN (0, 1)),
	allow_nets   text CHECK (allow_nets <> ''),
	imap_active  smallint NOT NULL DEFAULT 1 CHECK (imap_active IN (0, 1)),
	pop3_active  smallint NOT NULL DEFAULT 1 CHECK (pop3_active IN (0, 1)),
	smtp_active  smallint NOT NULL DEFAULT 1 CHECK (smtp_active IN (0, 1)),
	sieve_active smallint NOT NULL DEFAULT 1 CHECK (sieve_active IN (0, 1)),
	quota        bigint NOT NULL DEFAULT 0 CHECK (quota >= 0),
	home         text CHECK (home LIKE '/_%'),
	uid          bigint CHECK (uid > 0),
	gid          bigint CHECK (gid > 0),
	mail         text CHECK (mail <> ''),
	host         text CHECK (host <> ''),
	localpart    text COLLATE "C" NOT NULL
		GENERATED ALWAYS AS (regexp_replace(username, '@[^@]*$', '')) STORED,
	domain       text COLLATE "C" NOT NULL REFERENCES domain (domain)
		GENERATED ALWAYS AS (regexp_replace(username, '^.*@', '')) STORED,
	quota_rule   text NOT NULL GENERATED ALWAYS AS ('*:bytes=' || quota::text) STORED,
	CHECK (nopassword = 0 OR (password IS NULL AND allow_nets IS NOT NULL))
);

CREATE INDEX mailbox_parts ON mailbox (domain, localpart);

-- Where mail for an address goes instead. Address '@example.com' is the catch-all of its domain.
-- A list has one row for each member, or one row with the members separated by commas; one row can
-- hold about 2,500 bytes.
-- From `expires` on a row is as if it were not there.
CREATE TABLE alias (
	address   text COLLATE "C" NOT NULL CHECK (address = lower(address) AND address LIKE '%@%'),
	goto      text COLLATE "C" NOT NULL CHECK (goto <> ''),
	active    smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	expires   timestamptz(0),
	localpart text COLLATE "C" NOT NULL
		GENERATED ALWAYS AS (regexp_replace(address, '@[^@]*$', '')) STORED,
	domain    text COLLATE "C" NOT NULL REFERENCES domain (domain)
		GENERATED ALWAYS AS (regexp_replace(address, '^.*@', '')) STORED,
	PRIMARY KEY (address, goto)
);

CREATE INDEX alias_parts ON alias (domain, localpart);

-- Second names of domains: user@alias_domain is user@target_domain. An alias domain has no row in
-- `domain`: Postfix wants a domain in one address class only.
CREATE TABLE alias_domain (
	alias_domain  text COLLATE "C" PRIMARY KEY CHECK (alias_domain = lower(alias_domain) AND alias_domain <> ''),
	target_domain text COLLATE "C" NOT NULL REFERENCES domain (domain),
	active        smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	CHECK (alias_domain <> target_domain)
);

CREATE INDEX alias_domain_target ON alias_domain (target_domain);

-- Domains that this server relays for; their subdomains too, as Postfix does by default.
CREATE TABLE relay_domain (
	domain text COLLATE "C" PRIMARY KEY CHECK (domain = lower(domain) AND domain <> ''),
	active smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
);

-- Who gets mail in the domains that this server relays for or is a backup for: user@domain, or @domain for
-- all of a domain. Subdomains need rows of their own.
CREATE TABLE relay_recipient (
	address text COLLATE "C" PRIMARY KEY CHECK (address = lower(address) AND address LIKE '%@_%'),
	active  smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
);

-- How mail for a destination leaves: user@domain, domain, .domain (its subdomains) or * (all).
-- The transport is written as in transport(5): 'smtp:[relay.example.com]:587'.
CREATE TABLE transport (
	destination text COLLATE "C" PRIMARY KEY CHECK (destination = lower(destination) AND destination <> ''),
	transport   text COLLATE "C" NOT NULL CHECK (transport <> ''),
	active      smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
);

-- How mail to a destination is encrypted: domain, .domain (its subdomains), or a next hop as transport(5)
-- has it: '[mail.example.com]:587'. Policies are those of smtp_tls_policy_maps: 'encrypt', 'dane-only'.
CREATE TABLE tls_policy (
	destination text COLLATE "C" PRIMARY KEY CHECK (destination = lower(destination) AND destination <> ''),
	policy      text COLLATE "C" NOT NULL CHECK (policy <> ''),
	active      smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
);

-- Blind copies by sender and by recipient: user@domain or @domain. One copy address for each.
CREATE TABLE sender_bcc (
	address text COLLATE "C" PRIMARY KEY CHECK (address = lower(address) AND address LIKE '%@%'),
	goto    text COLLATE "C" NOT NULL CHECK (goto LIKE '_%@_%'),
	active  smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
);

CREATE TABLE recipient_bcc (
	address text COLLATE "C" PRIMARY KEY CHECK (address = lower(address) AND address LIKE '%@%'),
	goto    text COLLATE "C" NOT NULL CHECK (goto LIKE '_%@_%'),
	active  smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
);

-- What clients may do. A client is a host name, a domain (its hosts too), an address or the front
-- part of one ('192.0.2'). Actions are those of access(5): 'REJECT', 'OK', '450 4.7.1 not now'.
CREATE TABLE client_access (
	client text COLLATE "C" PRIMARY KEY CHECK (client = lower(client) AND client <> ''),
	action text COLLATE "C" NOT NULL CHECK (action <> ''),
	active smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
);

-- What senders may do: user@domain, domain (its subdomains too), user@, or '<>' for bounces.
CREATE TABLE sender_access (
	sender text COLLATE "C" PRIMARY KEY CHECK (sender = lower(sender) AND sender <> ''),
	action text COLLATE "C" NOT NULL CHECK (action <> ''),
	active smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
);

-- What may be sent to recipients, whoever sends it: user@domain, domain (its subdomains too) or user@.
CREATE TABLE recipient_access (
	recipient text COLLATE "C" PRIMARY KEY CHECK (recipient = lower(recipient) AND recipient <> ''),
	action    text COLLATE "C" NOT NULL CHECK (action <> ''),
	active    smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
);

-- Top-level domains whose senders are rejected: 'example', without a dot. An action other than REJECT may
-- give the reason: '550 5.7.1 nobody here has ever got mail from there'.
CREATE TABLE rejected_tld (
	tld    text COLLATE "C" PRIMARY KEY CHECK (tld = lower(tld) AND tld <> '' AND tld NOT LIKE '%.%'),
	action text COLLATE "C" NOT NULL DEFAULT 'REJECT' CHECK (action <> ''),
	active smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
);

-- Who may send as an address (user@domain or @domain) that is not the account's own.
CREATE TABLE sender_login (
	sender text COLLATE "C" NOT NULL CHECK (sender = lower(sender) AND sender LIKE '%@%'),
	login  text COLLATE "C" NOT NULL REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	active smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	PRIMARY KEY (sender, login)
);

CREATE INDEX sender_login_login ON sender_login (login);

-- What Dovecot writes itself, by tabled's dictionaries. Each key is a row: the first write of one of its
-- values makes it, so the others have defaults. No triggers are needed: what tabled writes it knows.

-- How much each account keeps. A value below zero has Dovecot count anew, so it is not refused.
CREATE TABLE quota (
	username text COLLATE "C" PRIMARY KEY REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	bytes    bigint NOT NULL DEFAULT 0,
	messages bigint NOT NULL DEFAULT 0
);

-- When an account has logged in for the last time, in seconds since 1970.
CREATE TABLE last_login (
	username   text COLLATE "C" PRIMARY KEY REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	last_login bigint NOT NULL DEFAULT 0
);

-- Whose mailboxes others may see: what a client lists for to_user. Dovecot reads the rights themselves
-- from its ACL files. People may share with somebody who is not here, so to_user need not exist.
CREATE TABLE user_shares (
	from_user text COLLATE "C" NOT NULL REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	to_user   text COLLATE "C" NOT NULL,
	dummy     text NOT NULL DEFAULT '1',
	PRIMARY KEY (to_user, from_user)
);

CREATE INDEX user_shares_from ON user_shares (from_user);

CREATE TABLE anyone_shares (
	from_user text COLLATE "C" PRIMARY KEY REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	dummy     text NOT NULL DEFAULT '1'
);

-- What IMAP clients note about mailboxes (METADATA): for themselves, and for all who see the mailbox.
-- A mailbox is known by its GUID.
CREATE TABLE private_metadata (
	username     text COLLATE "C" NOT NULL REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	mailbox_guid text COLLATE "C" NOT NULL,
	entry        text COLLATE "C" NOT NULL,
	value        text NOT NULL,
	PRIMARY KEY (username, mailbox_guid, entry)
);

CREATE TABLE shared_metadata (
	mailbox_guid text COLLATE "C" NOT NULL,
	entry        text COLLATE "C" NOT NULL,
	value        text NOT NULL,
	PRIMARY KEY (mailbox_guid, entry)
);

-- Sieve scripts. Dovecot reads them, and keeps them compiled by their id: a new text needs a new id, so
-- delete the row and insert another.
CREATE TABLE sieve_script (
	id       bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
	username text COLLATE "C" NOT NULL REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	name     text COLLATE "C" NOT NULL CHECK (name <> ''),
	script   text NOT NULL,
	UNIQUE (username, name)
);

-- Which version of these tables it is, for `tabledctl schema`: a row for each upgrade, and for the first.
CREATE TABLE schema_version (
	version    integer PRIMARY KEY,
	applied_at timestamptz(0) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

INSERT INTO schema_version (version) VALUES (2);

-- The change feed: by it tabled knows at once what has changed, and asks again for exactly that. For
-- other tables `tabledctl feed install` makes such triggers, by what the queries of the maps read. These
-- are what it makes for the tables above.
--
-- Each row that is inserted, updated or deleted writes a row for each of its key columns, with the value
-- that it had and the one that it has. No value says that anything in the table may be different.
--
-- Rows of tabled_change that are older than an hour are deleted by tabled, if it may. Whoever changes a table
-- needs no rights on tabled_change. NOTIFY tells tabled at once that there is something to read.

CREATE TABLE IF NOT EXISTS tabled_change (
	id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	changed_table text COLLATE "C" NOT NULL,
	key_column    text COLLATE "C" NOT NULL,
	key_value     text COLLATE "C",
	changed_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS tabled_feed (
	changed_table text COLLATE "C" NOT NULL,
	key_column    text COLLATE "C" NOT NULL,
	PRIMARY KEY (changed_table, key_column)
);

CREATE OR REPLACE FUNCTION tabled_note(changed text, key text, value text)
	RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	IF pg_trigger_depth() > 0 THEN
		INSERT INTO tabled_change (changed_table, key_column, key_value)
			VALUES (changed, key, CASE WHEN octet_length(value) <= 10000 THEN value END);
	END IF;
END
$$;

CREATE OR REPLACE FUNCTION tabled_note_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	old_row jsonb;
	new_row jsonb;
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		PERFORM tabled_note(TG_ARGV[0], TG_ARGV[1], NULL);
	ELSE
		IF TG_OP <> 'INSERT' THEN old_row := to_jsonb(OLD); END IF;
		IF TG_OP <> 'DELETE' THEN new_row := to_jsonb(NEW); END IF;
		PERFORM tabled_note(TG_ARGV[0], key, value)
			FROM (SELECT DISTINCT key COLLATE "C", (data ->> key) COLLATE "C"
				FROM unnest(TG_ARGV[1:]) AS key, unnest(ARRAY[old_row, new_row]) AS data
				WHERE data IS NOT NULL) AS changed (key, value);
	END IF;
	PERFORM pg_notify('tabled', '');
	RETURN NULL;
END
$$;

DO $$ DECLARE path text := format('pg_catalog, %I, pg_temp', current_schema()); BEGIN
	EXECUTE 'ALTER FUNCTION tabled_note(text, text, text) SET search_path = ' || path;
	EXECUTE 'ALTER FUNCTION tabled_note_change() SET search_path = ' || path;
END $$;

INSERT INTO tabled_feed (changed_table, key_column) VALUES
	('alias', 'address'),
	('alias', 'localpart'),
	('alias_domain', 'alias_domain'),
	('client_access', 'client'),
	('domain', 'domain'),
	('mailbox', 'localpart'),
	('mailbox', 'username'),
	('recipient_access', 'recipient'),
	('recipient_bcc', 'address'),
	('rejected_tld', 'tld'),
	('relay_domain', 'domain'),
	('relay_recipient', 'address'),
	('sender_access', 'sender'),
	('sender_bcc', 'address'),
	('sender_login', 'sender'),
	('tls_policy', 'destination'),
	('transport', 'destination');

CREATE TRIGGER "tabled_alias" AFTER INSERT OR UPDATE OR DELETE ON "alias"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('alias', 'address', 'localpart');
CREATE TRIGGER "tabled_truncate_alias" AFTER TRUNCATE ON "alias"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('alias', 'address', 'localpart');
ALTER TABLE "alias" ENABLE ALWAYS TRIGGER "tabled_alias", ENABLE ALWAYS TRIGGER "tabled_truncate_alias";

CREATE TRIGGER "tabled_alias_domain" AFTER INSERT OR UPDATE OR DELETE ON "alias_domain"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('alias_domain', 'alias_domain');
CREATE TRIGGER "tabled_truncate_alias_domain" AFTER TRUNCATE ON "alias_domain"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('alias_domain', 'alias_domain');
ALTER TABLE "alias_domain" ENABLE ALWAYS TRIGGER "tabled_alias_domain", ENABLE ALWAYS TRIGGER "tabled_truncate_alias_domain";

CREATE TRIGGER "tabled_client_access" AFTER INSERT OR UPDATE OR DELETE ON "client_access"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('client_access', 'client');
CREATE TRIGGER "tabled_truncate_client_access" AFTER TRUNCATE ON "client_access"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('client_access', 'client');
ALTER TABLE "client_access" ENABLE ALWAYS TRIGGER "tabled_client_access", ENABLE ALWAYS TRIGGER "tabled_truncate_client_access";

CREATE TRIGGER "tabled_domain" AFTER INSERT OR UPDATE OR DELETE ON "domain"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('domain', 'domain');
CREATE TRIGGER "tabled_truncate_domain" AFTER TRUNCATE ON "domain"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('domain', 'domain');
ALTER TABLE "domain" ENABLE ALWAYS TRIGGER "tabled_domain", ENABLE ALWAYS TRIGGER "tabled_truncate_domain";

CREATE TRIGGER "tabled_mailbox" AFTER INSERT OR UPDATE OR DELETE ON "mailbox"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('mailbox', 'localpart', 'username');
CREATE TRIGGER "tabled_truncate_mailbox" AFTER TRUNCATE ON "mailbox"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('mailbox', 'localpart', 'username');
ALTER TABLE "mailbox" ENABLE ALWAYS TRIGGER "tabled_mailbox", ENABLE ALWAYS TRIGGER "tabled_truncate_mailbox";

CREATE TRIGGER "tabled_recipient_access" AFTER INSERT OR UPDATE OR DELETE ON "recipient_access"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('recipient_access', 'recipient');
CREATE TRIGGER "tabled_truncate_recipient_access" AFTER TRUNCATE ON "recipient_access"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('recipient_access', 'recipient');
ALTER TABLE "recipient_access" ENABLE ALWAYS TRIGGER "tabled_recipient_access", ENABLE ALWAYS TRIGGER "tabled_truncate_recipient_access";

CREATE TRIGGER "tabled_recipient_bcc" AFTER INSERT OR UPDATE OR DELETE ON "recipient_bcc"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('recipient_bcc', 'address');
CREATE TRIGGER "tabled_truncate_recipient_bcc" AFTER TRUNCATE ON "recipient_bcc"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('recipient_bcc', 'address');
ALTER TABLE "recipient_bcc" ENABLE ALWAYS TRIGGER "tabled_recipient_bcc", ENABLE ALWAYS TRIGGER "tabled_truncate_recipient_bcc";

CREATE TRIGGER "tabled_rejected_tld" AFTER INSERT OR UPDATE OR DELETE ON "rejected_tld"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('rejected_tld', 'tld');
CREATE TRIGGER "tabled_truncate_rejected_tld" AFTER TRUNCATE ON "rejected_tld"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('rejected_tld', 'tld');
ALTER TABLE "rejected_tld" ENABLE ALWAYS TRIGGER "tabled_rejected_tld", ENABLE ALWAYS TRIGGER "tabled_truncate_rejected_tld";

CREATE TRIGGER "tabled_relay_domain" AFTER INSERT OR UPDATE OR DELETE ON "relay_domain"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('relay_domain', 'domain');
CREATE TRIGGER "tabled_truncate_relay_domain" AFTER TRUNCATE ON "relay_domain"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('relay_domain', 'domain');
ALTER TABLE "relay_domain" ENABLE ALWAYS TRIGGER "tabled_relay_domain", ENABLE ALWAYS TRIGGER "tabled_truncate_relay_domain";

CREATE TRIGGER "tabled_relay_recipient" AFTER INSERT OR UPDATE OR DELETE ON "relay_recipient"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('relay_recipient', 'address');
CREATE TRIGGER "tabled_truncate_relay_recipient" AFTER TRUNCATE ON "relay_recipient"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('relay_recipient', 'address');
ALTER TABLE "relay_recipient" ENABLE ALWAYS TRIGGER "tabled_relay_recipient", ENABLE ALWAYS TRIGGER "tabled_truncate_relay_recipient";

CREATE TRIGGER "tabled_sender_access" AFTER INSERT OR UPDATE OR DELETE ON "sender_access"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('sender_access', 'sender');
CREATE TRIGGER "tabled_truncate_sender_access" AFTER TRUNCATE ON "sender_access"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('sender_access', 'sender');
ALTER TABLE "sender_access" ENABLE ALWAYS TRIGGER "tabled_sender_access", ENABLE ALWAYS TRIGGER "tabled_truncate_sender_access";

CREATE TRIGGER "tabled_sender_bcc" AFTER INSERT OR UPDATE OR DELETE ON "sender_bcc"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('sender_bcc', 'address');
CREATE TRIGGER "tabled_truncate_sender_bcc" AFTER TRUNCATE ON "sender_bcc"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('sender_bcc', 'address');
ALTER TABLE "sender_bcc" ENABLE ALWAYS TRIGGER "tabled_sender_bcc", ENABLE ALWAYS TRIGGER "tabled_truncate_sender_bcc";

CREATE TRIGGER "tabled_sender_login" AFTER INSERT OR UPDATE OR DELETE ON "sender_login"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('sender_login', 'sender');
CREATE TRIGGER "tabled_truncate_sender_login" AFTER TRUNCATE ON "sender_login"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('sender_login', 'sender');
ALTER TABLE "sender_login" ENABLE ALWAYS TRIGGER "tabled_sender_login", ENABLE ALWAYS TRIGGER "tabled_truncate_sender_login";

CREATE TRIGGER "tabled_tls_policy" AFTER INSERT OR UPDATE OR DELETE ON "tls_policy"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('tls_policy', 'destination');
CREATE TRIGGER "tabled_truncate_tls_policy" AFTER TRUNCATE ON "tls_policy"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('tls_policy', 'destination');
ALTER TABLE "tls_policy" ENABLE ALWAYS TRIGGER "tabled_tls_policy", ENABLE ALWAYS TRIGGER "tabled_truncate_tls_policy";

CREATE TRIGGER "tabled_transport" AFTER INSERT OR UPDATE OR DELETE ON "transport"
	FOR EACH ROW EXECUTE FUNCTION tabled_note_change('transport', 'destination');
CREATE TRIGGER "tabled_truncate_transport" AFTER TRUNCATE ON "transport"
	FOR EACH STATEMENT EXECUTE FUNCTION tabled_note_change('transport', 'destination');
ALTER TABLE "transport" ENABLE ALWAYS TRIGGER "tabled_transport", ENABLE ALWAYS TRIGGER "tabled_truncate_transport";

DO $$ DECLARE one regclass; BEGIN
	SELECT c.oid INTO one FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
		WHERE t.tgfoid = to_regproc('tabled_note_change') AND (c.relkind NOT IN ('r', 'p')
			OR (c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid)));
	IF one IS NOT NULL THEN
		RAISE EXCEPTION 'the table % is a foreign one or has others that inherit from it: it can''t be watched', one;
	END IF;
END $$;

INSERT INTO tabled_change (changed_table, key_column)
	SELECT changed_table, min(key_column) FROM tabled_feed GROUP BY changed_table;

COMMIT;
