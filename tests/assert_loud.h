/* assert_loud.h - makes the header's own assertions stop the test.
 *
 * Given to the compiler with -include, so it comes before everything else and
 * must include nothing itself: a system header here would hide pread and its
 * like from the header. perror writes at once, so nothing is lost. */
#ifndef ASSERT_LOUD_H
#define ASSERT_LOUD_H

#ifdef __cplusplus
extern "C" {
#endif
extern void perror(const char *);
extern void abort(void);
#ifdef __cplusplus
}
#endif

#define ASSERT_LOUD_TEXT(x) #x
#define ASSERT_LOUD_LINE(line) ASSERT_LOUD_TEXT(line)
#define DYNBACKUP_ASSERT(x) \
    ((x) ? (void)0          \
         : (perror(__FILE__ ":" ASSERT_LOUD_LINE(__LINE__) ": assertion failed: " #x), abort()))

#endif
