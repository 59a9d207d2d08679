#include "net/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int parse_unix(const char *path, struct endpoint *endpoint, struct error *why)
{
	if (*path != '/')
		return error_set(why, "\"unix:%s\": a path starts with /", path);
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return error_set(why, "\"unix:%s\": the path is too long for a socket", path);
	endpoint->is_unix = true;
	snprintf(endpoint->host, sizeof(endpoint->host), "%s", path);
	return 0;
}

/* A number from 1 to 65535, or the name of a service. */
static bool is_port(const char *text)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9')
		return getservbyname(text, "tcp") != NULL;
	return !*end && number > 0 && number <= 65535;
}

static int bad_inet(const char *text, struct error *why)
{
	return error_set(
		why, "\"inet:%s\" is not of the form inet:host:port or inet:[::1]:port", text);
}

static int parse_inet(const char *text, struct endpoint *endpoint, struct error *why)
{
	const char *host = text, *colon = strrchr(text, ':');
	size_t size = colon ? (size_t)(colon - text) : 0;

	if (!colon || !colon[1] || strlen(colon + 1) >= sizeof(endpoint->port) ||
		size >= sizeof(endpoint->host))
		return bad_inet(text, why);
	if (size >= 2 && *host == '[' && host[size - 1] == ']') {
		host++;
		size -= 2;
	} else if (memchr(host, ':', size)) {
		return error_set(why, "\"inet:%s\": write an IPv6 address in brackets", text);
	}
	if (!size)
		return bad_inet(text, why);
	snprintf(endpoint->host, sizeof(endpoint->host), "%.*s", (int)size, host);
	snprintf(endpoint->port, sizeof(endpoint->port), "%s", colon + 1);
	if (!is_port(endpoint->port))
		return error_set(why, "\"inet:%s\": \"%s\" is no port", text, endpoint->port);
	return 0;
}

int endpoint_parse(const char *text, struct endpoint *endpoint, struct error *why)
{
	*endpoint = (struct endpoint){0};
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, endpoint, why);
	if (strncmp(text, "inet:", 5) == 0)
		return parse_inet(text + 5, endpoint, why);
	return error_set(why, "\"%s\" is neither unix:/path nor inet:host:port", text);
}

static struct sockaddr_un unix_address(const struct endpoint *endpoint)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%.*s",
		(int)sizeof(address.sun_path) - 1, endpoint->host);
	return address;
}

static int new_socket(int family, int flags, struct error *why)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (fd < 0)
		error_set(why, "socket: %s", strerror(errno));
	return fd;
}

static int unix_connect(const struct endpoint *endpoint, int flags, struct error *why)
{
	struct sockaddr_un address = unix_address(endpoint);
	int fd = new_socket(AF_UNIX, flags, why);
	int code;

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	code = errno;
	close(fd);
	errno = code;
	return error_set(why, "%s: %s", endpoint->host, strerror(code));
}

/*
 * Removes what a daemon that is gone has left. Returns -1 if there is something else: only a
 * refused connection proves that nobody listens.
 */
static int remove_stale(const struct endpoint *endpoint, struct error *why)
{
	struct stat file;
	int fd;

	if (lstat(endpoint->host, &file) < 0)
		return errno == ENOENT ? 0
				       : error_set(why, "%s: %s", endpoint->host, strerror(errno));
	if (!S_ISSOCK(file.st_mode))
		return error_set(why, "%s exists and is no socket: remove it", endpoint->host);
	fd = unix_connect(endpoint, SOCK_NONBLOCK, why);
	if (fd < 0 && errno == ECONNREFUSED)
		return unlink(endpoint->host) == 0
			       ? 0
			       : error_set(why, "%s: %s", endpoint->host, strerror(errno));
	if (fd >= 0)
		close(fd);
	/* EAGAIN: somebody listens, and has no time. */
	if (fd >= 0 || errno == EAGAIN)
		error_set(why, "%s: another process listens there; is tabled running already?",
			endpoint->host);
	return -1;
}

/* A user's number by name or number; -1 stays "don't change". */
static int find_user(const char *name, uid_t *ret_id, struct error *why)
{
	const struct passwd *user = name ? getpwnam(name) : NULL;
	char *end;

	*ret_id = (uid_t)-1;
	if (!name || !*name)
		return 0;
	*ret_id = user ? user->pw_uid : (uid_t)strtoul(name, &end, 10);
	if (!user && *end)
		return error_option(why, "owner", "owner = \"%s\": there is no such user", name);
	return 0;
}

static int find_group(const char *name, gid_t *ret_id, struct error *why)
{
	const struct group *group = name ? getgrnam(name) : NULL;
	char *end;

	*ret_id = (gid_t)-1;
	if (!name || !*name)
		return 0;
	*ret_id = group ? group->gr_gid : (gid_t)strtoul(name, &end, 10);
	if (!group && *end)
		return error_option(why, "group", "group = \"%s\": there is no such group", name);
	return 0;
}

static int find_both(
	const struct endpoint_access *access, uid_t *ret_owner, gid_t *ret_group, struct error *why)
{
	if (find_user(access->owner, ret_owner, why) < 0)
		return -1;
	return find_group(access->group, ret_group, why);
}

int endpoint_check_access(const struct endpoint_access *access, struct error *why)
{
	uid_t owner;
	gid_t group;

	return find_both(access, &owner, &group, why);
}

/* The file of a socket that was bound just now, to be changed and closed. Returns -1 with `why`. */
static int open_socket_file(const struct endpoint *endpoint, struct error *why)
{
	struct stat file;
	int fd = open(endpoint->host, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return error_set(why, "%s: %s", endpoint->host, strerror(errno));
	if (fstat(fd, &file) == 0 && S_ISSOCK(file.st_mode))
		return fd;
	close(fd);
	return error_set(why, "%s: somebody has put something else there", endpoint->host);
}

/*
 * Changes what was opened, not what has its name by now: where the directory is somebody else's, as
 * Postfix's is, that might be a link to any file of root's. The mode goes first, while the file is
 * ours: to change it afterwards would take one more right (CAP_FOWNER).
 */
static int give_away(const struct endpoint *endpoint, int file, uid_t owner, gid_t group,
	mode_t mode, struct error *why)
{
	char path[64]; /* fchmod() takes no O_PATH */

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	if (chmod(path, mode) < 0)
		return error_option(why, "mode", "%s: chmod: %s", endpoint->host, strerror(errno));
	if ((owner != (uid_t)-1 || group != (gid_t)-1) &&
		fchownat(file, "", owner, group, AT_EMPTY_PATH) < 0)
		return error_option(why, owner != (uid_t)-1 ? "owner" : "group",
			"%s: chown: %s (only root may give a socket to another owner)",
			endpoint->host, strerror(errno));
	return 0;
}

static int set_access(
	const struct endpoint *endpoint, const struct endpoint_access *access, struct error *why)
{
	uid_t owner;
	gid_t group;
	int file, result;

	if (find_both(access, &owner, &group, why) < 0)
		return -1;
	file = open_socket_file(endpoint, why);
	if (file < 0)
		return -1;
	result = give_away(endpoint, file, owner, group, access->mode, why);
	close(file);
	return result;
}

static int bind_and_listen(int fd, const struct sockaddr *address, socklen_t size)
{
	return bind(fd, address, size) == 0 ? listen(fd, ENDPOINT_BACKLOG) : -1;
}

static int unix_bind(int fd, const struct endpoint *endpoint, const struct endpoint_access *access,
	struct error *why)
{
	struct sockaddr_un address = unix_address(endpoint);

	if (remove_stale(endpoint, why) < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(why, "%s: %s", endpoint->host, strerror(errno));
	/* Nobody can connect before owner and mode are what they should be. */
	if (set_access(endpoint, access, why) == 0) {
		if (listen(fd, ENDPOINT_BACKLOG) == 0)
			return 0;
		error_set(why, "%s: %s", endpoint->host, strerror(errno));
	}
	unlink(endpoint->host);
	return -1;
}

/*
 * One tabled at a time looks whether a socket is stale and takes its place: of two that start
 * together, the second would else remove what the first has just made. It waits for a second at
 * most, since anybody who may read the directory could hold the lock. Returns what to close, or -1.
 */
static int lock_directory(const struct endpoint *endpoint)
{
	enum { TRIES = 1000, PAUSE_US = 1000 };
	char path[sizeof(endpoint->host)];
	int fd;

	snprintf(path, sizeof(path), "%s", endpoint->host);
	fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
		usleep(PAUSE_US);
	return fd;
}

static int unix_listen(
	const struct endpoint *endpoint, const struct endpoint_access *access, struct error *why)
{
	int lock = lock_directory(endpoint);
	int fd = new_socket(AF_UNIX, SOCK_NONBLOCK, why);

	if (fd >= 0 && unix_bind(fd, endpoint, access, why) < 0) {
		close(fd);
		fd = -1;
	}
	if (lock >= 0)
		close(lock);
	return fd;
}

static struct addrinfo *resolve(const struct endpoint *endpoint, int flags, struct error *why)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
	struct addrinfo *found = NULL;
	int code = getaddrinfo(endpoint->host, endpoint->port, &hints, &found);

	if (code != 0)
		error_set(
			why, "inet:%s:%s: %s", endpoint->host, endpoint->port, gai_strerror(code));
	return found;
}

/* What makes a socket one that listens or one that is connected: bind_and_listen(), connect(). */
typedef int socket_use(int fd, const struct sockaddr *address, socklen_t size);

static int inet_open(const struct endpoint *endpoint, const struct addrinfo *address, int flags,
	socket_use *use, struct error *why)
{
	int fd = new_socket(address->ai_family, flags, why);
	int one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (address->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (use(fd, address->ai_addr, address->ai_addrlen) == 0)
		return fd;
	error_set(why, "inet:%s:%s: %s", endpoint->host, endpoint->port, strerror(errno));
	close(fd);
	return -1;
}

/* A name may have addresses that this machine can't use, as localhost has without IPv6. */
static int inet_open_any(const struct endpoint *endpoint, struct addrinfo *addresses, int flags,
	socket_use *use, struct error *why)
{
	int fd = -1;

	for (const struct addrinfo *at = addresses; at && fd < 0; at = at->ai_next)
		fd = inet_open(endpoint, at, flags, use, why);
	if (addresses)
		freeaddrinfo(addresses);
	return fd;
}

int endpoint_listen(
	const struct endpoint *endpoint, const struct endpoint_access *access, struct error *why)
{
	if (endpoint->is_unix)
		return unix_listen(endpoint, access, why);
	return inet_open_any(
		endpoint, resolve(endpoint, AI_PASSIVE, why), SOCK_NONBLOCK, bind_and_listen, why);
}

int endpoint_connect(const struct endpoint *endpoint, struct error *why)
{
	if (endpoint->is_unix)
		return unix_connect(endpoint, 0, why);
	return inet_open_any(endpoint, resolve(endpoint, 0, why), 0, connect, why);
}
