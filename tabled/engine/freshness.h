/*
 * Whether a kept answer may be given: pure functions of what is known of the answer, of its source
 * and of the time. This is the one place where "how old is too old" is decided.
 */
#ifndef TABLED_ENGINE_FRESHNESS_H
#define TABLED_ENGINE_FRESHNESS_H

#include "lookup.h"

#include <stdbool.h>

/* A time to live that ends when the feed says so. */
#define FRESHNESS_BY_FEED UINT64_MAX

/* What the configuration says. Times in ms. */
struct freshness_rule {
	bool kept;                  /* at all */
	uint64_t ttl, negative_ttl; /* or FRESHNESS_BY_FEED */
	uint64_t clock_ttl;         /* 0: any; else what the feed says holds for so long at most */
	uint64_t grace;             /* after it, is given while it is asked anew */
	uint64_t stale_ttl;         /* after it, is given while the source is away */
	bool stale_negative;        /* NOT_FOUND, too */
};

/* What is known of the source. Times in ms. */
struct freshness_source {
	uint64_t reached;       /* when it last answered; 0: nobody knows */
	uint64_t healthy_until; /* the feed has told of every change up to some moments before */
	uint64_t feed;          /* number of the feed's run: odd; even between two of them */
	uint64_t before_until;  /* until when the run before that was healthy */
	bool failing;           /* its last answer was none */
};

/* Under which run of the feed a question is asked that leaves now; 0: under none. */
static inline uint64_t freshness_feed(const struct freshness_source *source)
{
	return source->feed % 2 ? source->feed : 0;
}

/* What is known of the answer. */
struct freshness_answer {
	enum status status; /* FOUND or NOT_FOUND */
	uint64_t asked;     /* ms; when the question left */
	uint64_t feed;      /* the feed's run at that time; 0: none; or one of the following */
	uint64_t chance;    /* any number that differs between answers: for jitter */
};

/*
 * In place of a run: the answer comes from before a restart. It was sure at `asked`, by its time
 * to live from then on or by a feed that had watched over it until then.
 */
#define FRESHNESS_RESTORED UINT32_MAX
#define FRESHNESS_RESTORED_WATCHED (UINT32_MAX - 2)

/* From best to worst. */
enum freshness {
	FRESH,     /* give it */
	GRACE,     /* give it, and ask behind */
	STALE,     /* ask; give it if there is no answer */
	FORGOTTEN, /* as if it had never been there */
};

/* Until when a feed has watched over it (ms); UINT64_MAX: it came without one. */
uint64_t freshness_watched(
	const struct freshness_answer *answer, const struct freshness_source *source);

enum freshness freshness_of(const struct freshness_answer *answer,
	const struct freshness_rule *rule, const struct freshness_source *source, uint64_t now);

#endif
