-- Dovecot's users and passwords from tabled: for Dovecot 2.4, which has no driver of its own for that
-- any more, and for 2.3.19 and later. Put it to /etc/dovecot/tabled.lua. It needs Debian's packages
-- dovecot-auth-lua, lua-socket and lua-cjson.
--
--     passdb lua {
--         lua_file = /etc/dovecot/tabled.lua
--     }
--     userdb lua {
--         lua_file = /etc/dovecot/tabled.lua
--     }
--
-- The settings below can be changed beside lua_file: lua_settings { timeout = 5 }. Dovecot 2.3 can't
-- do that; there, change them here.
--
-- What it asks for, in the dictionary `auth` of tabled.conf:
--
--     shared/passdb/SERVICE/USER     to log in; the service is imap, pop3, lmtp, smtp, sieve ...
--     shared/userdb/USER             to deliver mail, and for doveadm
--     shared/quota-status/USER       for that service, which tells Postfix whether a recipient has room
--     shared/userdb/                 all users, for doveadm user '*'
--
-- The answer is a row as JSON, and each of its columns a field for Dovecot: password, nopassword,
-- allow_nets, proxy, userdb_home ... to log in; uid, gid, home ... of a user. A column that is NULL
-- is no field. The name of the user is the rest of the key as it is, also where it has a slash.
--
-- "Unknown user" is said only when tabled has said it. If tabled or its database can't be asked, or
-- the answer is not understood, that is an internal failure: Dovecot says "try again later" then, and
-- mail waits in the queue instead of coming back.

local socket = require("socket")
local unix = require("socket.unix")
local json = require("cjson.safe")

local settings = {
	socket = "/run/tabled/auth",
	dictionary = "auth",
	connect_timeout = 1, -- seconds; so long a restart of tabled may take unnoticed
	timeout = 9, -- seconds for one lookup, or between two users of a list. Postfix waits for 10
}

-- Called by Dovecot first. Only 2.4 gives what stands in lua_settings.
function script_init(arguments)
	for name, value in pairs(arguments or {}) do
		local default = settings[name]
		if default == nil then
			error("tabled.lua: there is no setting " .. name .. " in lua_settings", 0)
		end
		if type(default) == "number" then
			settings[name] = tonumber(value) or error("tabled.lua: " .. name .. " has to be a number", 0)
		else
			settings[name] = value
		end
	end
	return 0
end

-- The connection. It is opened by the first lookup and then kept, one for each process of Dovecot's
-- that runs this. Whatever goes wrong with it is an error, { why = text, closed = true or false },
-- and ends it: no answer can come too late and be taken for that of the next lookup.

local connection

local function fail(why, closed)
	error({ why = why, closed = closed }, 0)
end

local function disconnect()
	if connection then
		connection:close()
		connection = nil
	end
end

-- Gives the next step what is left of the time.
local function set_deadline(client, deadline)
	client:settimeout(math.max(deadline - socket.gettime(), 0), "t")
end

local function connect(deadline)
	deadline = math.min(deadline, socket.gettime() + settings.connect_timeout)
	repeat
		local client = unix()
		set_deadline(client, deadline)
		local connected, why = client:connect(settings.socket)
		if connected then
			return client
		end
		client:close()
		socket.sleep(0.02)
		if socket.gettime() > deadline then
			fail("can't connect to " .. settings.socket .. ": " .. tostring(why))
		end
	until false
end

-- Between tabs a field is escaped: \001 and one of these stand for the byte.
local escapes = { ["\0"] = "\0010", ["\1"] = "\0011", ["\t"] = "\001t", ["\r"] = "\001r", ["\n"] = "\001n" }
local escaped = { ["0"] = "\0", ["1"] = "\1", t = "\t", r = "\r", n = "\n" }

local function escape(text)
	return (text:gsub("%c", escapes))
end

local function unescape(text)
	return (text:gsub("\1(.?)", function(code) return escaped[code] or code end))
end

local function send(request, deadline)
	if not connection then
		connection = connect(deadline)
		request = "H4\t0\t0\t\t" .. escape(settings.dictionary) .. "\n" .. request
	end
	set_deadline(connection, deadline)
	local sent, why = connection:send(request)
	if not sent then
		fail("can't write: " .. tostring(why), why == "closed")
	end
end

local function receive(deadline)
	set_deadline(connection, deadline)
	local line, why = connection:receive("*l")
	if not line then
		fail(why == "timeout" and "no answer in time" or "can't read: " .. tostring(why), why == "closed")
	end
	return line
end

-- An answer is "*NUMBER", and then, line by line, "+NUMBER <tab> field" and more fields, which are not
-- needed here. Returns the field, still escaped.
local function receive_field(number, deadline)
	local got, field = receive(deadline):match("^%+(%d+)\t([^\t]*)")
	if got ~= number then
		fail("not an answer of tabled's")
	end
	return field
end

local function receive_number(deadline)
	return receive(deadline):match("^%*(%d+)$") or fail("not an answer of tabled's")
end

-- Sends the request and reads its answer by `read`. If tabled has closed the connection meanwhile, as
-- it does with idle ones and when it ends, this is done once more on a new one. Returns what `read`
-- returns; or nil and the reason.
local function ask(request, read)
	local deadline = socket.gettime() + settings.timeout
	local failure
	for _ = 1, 2 do
		local done, answer, why = pcall(function()
			send(request, deadline)
			return read(receive_number(deadline), deadline)
		end)
		if done then
			return answer, why
		end
		disconnect()
		failure = type(answer) == "table" and answer or { why = tostring(answer) }
		if not failure.closed then
			break
		end
	end
	return nil, failure.why
end

-- Lookups of one user

-- "O" and the value, "N" for not found, "F" and a reason. Returns the value; false if there is none;
-- or nil and the reason.
local function read_value(number, deadline)
	local reply = receive_field(number, deadline)
	local kind, text = reply:sub(1, 1), unescape(reply:sub(2))
	if kind == "O" then
		return text
	elseif reply == "N" then
		return false
	elseif kind == "F" then
		return nil, text
	end
	fail("not an answer to a lookup")
end

-- A value of JSON as Dovecot's text; nil if it is none.
local function field_text(value)
	if type(value) == "number" then
		return string.format(value % 1 == 0 and "%.0f" or "%.14g", value)
	elseif type(value) == "boolean" then
		return value and "yes" or "no"
	elseif type(value) == "string" and not value:find("\0", 1, true) then
		return value
	end
end

-- Dovecot takes most fields of a passdb for true as soon as they are there, whatever their value:
-- nopassword = false is none.
local function is_absent(name, value, is_passdb)
	return value == json.null or (is_passdb and value == false and name:sub(1, 7) ~= "userdb_")
end

-- The row as a table of fields; or nil and the reason.
local function row_fields(text, is_passdb)
	local row = text:match("^%s*{") and json.decode(text)
	if type(row) ~= "table" then
		return nil, "the row is not an object of JSON"
	end
	local fields = {}
	for name, value in pairs(row) do
		if name == "" or name:find("%c") then
			return nil, "the row has a column without a proper name"
		end
		if not is_absent(name, value, is_passdb) then
			fields[name] = field_text(value)
			if not fields[name] then
				return nil, "column " .. name .. " is no text for Dovecot"
			end
		end
	end
	return fields
end

-- Returns fields; false if there is no such user; or nil and the reason.
local function lookup(key, user, is_passdb)
	local text, why = ask("L" .. escape(key) .. "\t" .. escape(user) .. "\n", read_value)
	if text then
		return row_fields(text, is_passdb)
	end
	return text, why
end

-- In the form that Dovecot wants. `kind` is PASSDB or USERDB.
local function answer(kind, request, fields, why)
	local results = dovecot.auth
	if fields then
		return results[kind .. "_RESULT_OK"], fields
	elseif fields == false then
		request:log_info("unknown user")
		return results[kind .. "_RESULT_USER_UNKNOWN"], "unknown user"
	end
	return results[kind .. "_RESULT_INTERNAL_FAILURE"], "tabled: " .. why
end

-- Its name is another one in 2.3.
local function service_of(request)
	return request.protocol or request.service
end

-- The password is checked by Dovecot itself, so every scheme and mechanism that it knows can be used.
function auth_passdb_lookup(request)
	local key = "shared/passdb/" .. service_of(request) .. "/" .. request.user
	return answer("PASSDB", request, lookup(key, request.user, true))
end

-- For quota-status tabled may say more while the database is away: see tabled.conf.
function auth_userdb_lookup(request)
	local kind = service_of(request) == "quota-status" and "quota-status" or "userdb"
	return answer("USERDB", request, lookup("shared/" .. kind .. "/" .. request.user, request.user, false))
end

-- All users

local users_prefix = "shared/userdb/"

-- A row is "O" and the key, one with an empty first field the end of all. Returns the names; or nil
-- and the reason.
local function read_users(number)
	local users = {}
	repeat
		local reply = receive_field(number, socket.gettime() + settings.timeout)
		local kind, text = reply:sub(1, 1), unescape(reply:sub(2))
		if kind == "O" and text:sub(1, #users_prefix) == users_prefix then
			users[#users + 1] = text:sub(#users_prefix + 1)
		elseif kind == "F" then
			return nil, text
		elseif reply ~= "" then
			fail("not an answer to a list")
		end
	until reply == ""
	return users
end

-- The flag 8 says that the values are not wanted.
function auth_userdb_iterate()
	local users, why = ask("I8\t0\t" .. users_prefix .. "\t\n", read_users)
	return users or error("tabled: " .. why, 0)
end

-- For auth_cache_size in Dovecot 2.4: what an answer depends on. tabled has a cache itself, which is told
-- of changes, so mostly there is no need for another.
function auth_passdb_get_cache_key()
	return "%{user} %{protocol}"
end

function auth_userdb_get_cache_key()
	return "%{user} %{protocol}"
end
