#include "base/hash.h"

#include "support/unit.h"

#include <ctype.h>

/* The key of the reference's own vectors: bytes 0 to 15. */
static const struct hash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};

static uint64_t hash(const char *text)
{
	return hash_folded(&key, 7, slice_str(text));
}

/*
 * Of the seed as eight bytes, lowest first, and the text behind it: by a SipHash-1-3 in Python that
 * gives the vectors of the paper with 2-4, and Python's own hash() with 1-3.
 */
START_TEST(is_siphash_1_3)
{
	char many[300];

	memset(many, 'x', sizeof(many));
	ck_assert_uint_eq(hash_folded(&key, 0, slice_str("")), 0x5cb96f6ba2a4fcfc);
	ck_assert_uint_eq(hash_folded(&key, 0, slice_of(NULL, 0)), 0x5cb96f6ba2a4fcfc);
	ck_assert_uint_eq(hash_folded(&key, 0, slice_str("a")), 0x7b52a06a348d4875);
	ck_assert_uint_eq(hash_folded(&key, 1, slice_str("a")), 0x191effd3459c7e1d);
	ck_assert_uint_eq(hash_folded(&key, 7, slice_str("1234567")), 0xf52675211c3202ba);
	ck_assert_uint_eq(hash_folded(&key, 7, slice_str("12345678")), 0x11467196d2bc2243);
	ck_assert_uint_eq(hash_folded(&key, 0x0123456789abcdef, slice_str("user@example.com")),
		0x83a183fca257ea44);
	ck_assert_uint_eq(hash_folded(&key, 3, slice_of(many, sizeof(many))), 0xc3d5a08347b7bcf8);
}
END_TEST

START_TEST(the_key_counts)
{
	const struct hash_key other = {{key.words[0], key.words[1] ^ 1}};
	struct hash_key one, two;

	ck_assert_uint_ne(hash_folded(&other, 7, slice_str("text")), hash("text"));
	hash_key_init(&one);
	hash_key_init(&two);
	ck_assert_mem_ne(&one, &two, sizeof(one));
}
END_TEST

START_TEST(either_case_is_the_same)
{
	ck_assert_uint_eq(hash("Alice@Example.COM"), hash("alice@example.com"));
	ck_assert_uint_eq(hash("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), hash("abcdefghijklmnopqrstuvwxyz"));
	ck_assert_uint_eq(hash("A"), hash("a"));
	ck_assert_uint_eq(hash("1234567Z"), hash("1234567z"));
	ck_assert_uint_eq(hash("12345678Z"), hash("12345678z"));
}
END_TEST

START_TEST(spaces_behind_do_not_count)
{
	ck_assert_uint_eq(hash("a "), hash("a"));
	ck_assert_uint_eq(hash("A                    "), hash("a"));
	ck_assert_uint_eq(hash("12345678 "), hash("12345678"));
	ck_assert_uint_eq(hash("   "), hash(""));
	ck_assert_uint_ne(hash(" a"), hash("a"));
	ck_assert_uint_ne(hash("a b"), hash("ab"));
	ck_assert_uint_ne(hash("a\t"), hash("a"));
	ck_assert_uint_ne(hash_folded(&key, 7, slice_of("a\0", 2)), hash("a"));
}
END_TEST

/* Every byte, at every place of a word and in what is left behind the last one. */
START_TEST(no_two_other_bytes_are_the_same)
{
	enum { LENGTH = 13 };

	for (int at = 0; at < LENGTH; at++) {
		uint64_t hashes[256];
		char text[LENGTH];

		memset(text, '-', sizeof(text));
		for (int byte = 0; byte < 256; byte++) {
			text[at] = (char)byte;
			hashes[byte] = hash_folded(&key, 0, slice_of(text, sizeof(text)));
		}
		for (int one = 0; one < 256; one++)
			for (int two = 0; two < 256; two++) {
				bool same = one == two || (one < 128 && two < 128 &&
								  tolower(one) == tolower(two));

				if ((hashes[one] == hashes[two]) != same)
					ck_abort_msg("%#x and %#x at %d", one, two, at);
			}
	}
}
END_TEST

START_TEST(lengths_count)
{
	char zeros[40] = {0};
	uint64_t hashes[sizeof(zeros)];

	for (size_t size = 0; size < sizeof(zeros); size++) {
		hashes[size] = hash_folded(&key, 0, slice_of(zeros, size));
		for (size_t other = 0; other < size; other++)
			ck_assert_uint_ne(hashes[other], hashes[size]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hash");
	TCase *tcase = tcase_create("hash");

	tcase_add_test(tcase, is_siphash_1_3);
	tcase_add_test(tcase, the_key_counts);
	tcase_add_test(tcase, either_case_is_the_same);
	tcase_add_test(tcase, spaces_behind_do_not_count);
	tcase_add_test(tcase, no_two_other_bytes_are_the_same);
	tcase_add_test(tcase, lengths_count);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
