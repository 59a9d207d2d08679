-- The tables that the maps in postfix-maps/tabled.conf read, for PostgreSQL 12 and later.
--
--     createdb --encoding=UTF8 --template=template0 mail
--     psql --set=ON_ERROR_STOP=1 --file=schema/postgresql.sql mail
--     psql --command='GRANT SELECT ON ALL TABLES IN SCHEMA public TO tabled' mail
--
-- Rules that hold for all tables:
--   * Postfix folds what it asks for, so keys are stored in lower case; a row in mixed case
--     would never be found, and a CHECK refuses it. Beyond ASCII, Unicode case folding counts:
--     store grüsse for grüße.
--   * An address has the form of a mail header: "john doe"@example.com with its quotes.
--   * active = 0 hides a row from Postfix without losing it.
--   * `localpart` and `domain` are made from their address, so they cannot disagree with it.
--   * Texts compare byte by byte (COLLATE "C"). An index in a language's order can become wrong by an
--     upgrade of the C library, and then rows are not found that are there.

BEGIN;

-- Domains whose mail ends here, in mailboxes or by aliases.
CREATE TABLE domain (
	domain text COLLATE "C" PRIMARY KEY CHECK (domain = lower(domain) AND domain <> ''),
	active smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
);

-- Accounts. The user name is the address.
CREATE TABLE mailbox (
	username  text COLLATE "C" PRIMARY KEY CHECK (username = lower(username) AND username LIKE '_%@%'),
	active    smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	localpart text COLLATE "C" NOT NULL
		GENERATED ALWAYS AS (regexp_replace(username, '@[^@]*$', '')) STORED,
	domain    text COLLATE "C" NOT NULL REFERENCES domain (domain)
		GENERATED ALWAYS AS (regexp_replace(username, '^.*@', '')) STORED
);

CREATE INDEX mailbox_parts ON mailbox (domain, localpart);

-- Where mail for an address goes instead. Address '@example.com' is the catch-all of its domain.
-- A list has one row for each member, or one row with the members separated by commas; one row can
-- hold about 2,500 bytes.
CREATE TABLE alias (
	address   text COLLATE "C" NOT NULL CHECK (address = lower(address) AND address LIKE '%@%'),
	goto      text COLLATE "C" NOT NULL CHECK (goto <> ''),
	active    smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
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

-- How mail for a destination leaves: user@domain, domain, .domain (its subdomains) or * (all).
-- The transport is written as in transport(5): 'smtp:[relay.example.com]:587'.
CREATE TABLE transport (
	destination text COLLATE "C" PRIMARY KEY CHECK (destination = lower(destination) AND destination <> ''),
	transport   text COLLATE "C" NOT NULL CHECK (transport <> ''),
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

-- Who may send as an address (user@domain or @domain) that is not the account's own.
CREATE TABLE sender_login (
	sender text COLLATE "C" NOT NULL CHECK (sender = lower(sender) AND sender LIKE '%@%'),
	login  text COLLATE "C" NOT NULL REFERENCES mailbox (username) ON UPDATE CASCADE ON DELETE CASCADE,
	active smallint NOT NULL DEFAULT 1 CHECK (active IN (0, 1)),
	PRIMARY KEY (sender, login)
);

CREATE INDEX sender_login_login ON sender_login (login);

COMMIT;
