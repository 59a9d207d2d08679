-- Plays Dovecot for postfix-maps/dovecot/tabled.lua, which it loads:
--
--     lua dovecot.lua SCRIPT [NAME=VALUE ...]
--
-- With settings, or just an =, it plays 2.4, else 2.3. For each line of standard input, "passdb USER",
-- "userdb USER", "quota USER" (userdb for the service quota-status) or "iterate", it prints one of JSON:
-- {"result": name, "fields": ...} or {"users": ...}.

local json = require("cjson")

local names = {}
dovecot = { auth = {} }
for number, name in ipairs({ "OK", "USER_UNKNOWN", "INTERNAL_FAILURE" }) do
	names[number] = name
	dovecot.auth["PASSDB_RESULT_" .. name] = number
	dovecot.auth["USERDB_RESULT_" .. name] = number
end

dofile(arg[1])

local settings
for at = 2, #arg do
	local name, value = arg[at]:match("^(.-)=(.*)$")
	settings = settings or {}
	if name ~= "" then
		settings[name] = value
	end
end
local loaded, why = pcall(script_init, settings)
if not loaded or why ~= 0 then
	print(json.encode({ result = "NOT_LOADED", fields = why }))
	os.exit(1)
end

local function request(user, service)
	return { user = user, [settings and "protocol" or "service"] = service, log_info = function() end }
end

local function userdb(user, service)
	local number, fields = auth_userdb_lookup(request(user, service))
	return { result = names[number], fields = fields }
end

local commands = {
	passdb = function(user)
		local number, fields = auth_passdb_lookup(request(user, "imap"))
		return { result = names[number], fields = fields }
	end,
	userdb = function(user)
		return userdb(user, "lmtp")
	end,
	quota = function(user)
		return userdb(user, "quota-status")
	end,
	iterate = function()
		local done, users = pcall(auth_userdb_iterate)
		return done and { users = #users > 0 and users or "none" } or { result = "FAILED", fields = users }
	end,
}

for line in io.lines() do
	local command, user = line:match("^(%a+) ?(.*)$")
	print(json.encode(commands[command](user)))
	io.stdout:flush()
end
