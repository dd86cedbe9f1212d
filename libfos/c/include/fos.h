/* libfos for C: mailboxes, names, messages, time and text. Link with libfos.a; docs/c.md says how.
 *
 * A program defines fos_main instead of main. Its value, modulo 256, is the program's exit status.
 *
 * Answers.  A function that can fail answers a fos_status: FOS_DONE, or why nothing was done. What it gives besides goes
 *           where the last pointers say, and only with FOS_DONE, if it does not say otherwise.
 * Pointers. None may be null, if it does not say so: one that is gives FOS_BAD_ADDRESS. What is passed in stays the
 *           caller's, and is not used after the call.
 * Time.     A deadline is a point in time that fos_after makes, or FOS_NEVER, or FOS_AT_ONCE: look, but do not wait.
 *           Durations are in nanoseconds.
 * Threads.  A struct fos and all that is made with it belong to one thread; no two may be in calls with the same. Functions
 *           that take none of these may be called from anywhere.
 */
#ifndef FOS_H
#define FOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the longest message. */
#define FOS_MESSAGE_MAX 992
/* Mailboxes that fos_select waits for, at most. */
#define FOS_SELECT_MAX 32
/* Bytes of the longest name, without its final zero; and of the longest that begins with `/`. */
#define FOS_NAME_MAX 64
#define FOS_PATH_MAX 128
/* Slots and keys of a mailbox: powers of two within these. A message takes a slot for each 128 bytes of itself and 32 more;
 * one sender may hold an eighth of the slots. */
#define FOS_SLOTS_MIN 64
#define FOS_SLOTS_MAX 512
#define FOS_KEYS_MIN 16
#define FOS_KEYS_MAX 1024

/* Why nothing was done. The first 24 are the kernel's. */
typedef uint32_t fos_status;
enum {
    FOS_DONE = 0,
    FOS_BAD_CALL = 1,        /* the kernel is older than the library */
    FOS_BAD_ADDRESS = 2,     /* a pointer is null, or does not lead to memory of the program */
    FOS_BAD_ARGUMENT = 3,    /* a length, number or flag that the function does not take */
    FOS_BAD_CAPABILITY = 4,
    FOS_WRONG_KIND = 5,
    FOS_NO_RIGHTS = 6,       /* the key does not allow this */
    FOS_BAD_KEY = 7,         /* the key is forged or was revoked; the program has no such stream */
    FOS_CLOSED = 8,          /* the mailbox has ended */
    FOS_FULL = 9,            /* no room for this sender now */
    FOS_TOO_LONG = 10,       /* longer than a message, or than the buffer */
    FOS_TIMED_OUT = 11,      /* the deadline passed first */
    FOS_NO_SLOT = 12,        /* no room for one more key or watch */
    FOS_STILL_MAPPED = 13,
    FOS_HAS_CHILDREN = 14,
    FOS_NO_TABLES = 15,
    FOS_NOT_MAPPED = 16,
    FOS_ALREADY_MAPPED = 17,
    FOS_IN_USE = 18,
    FOS_WRONG_CORE = 19,
    FOS_WRONG_STATE = 20,
    FOS_STALE = 21,
    FOS_CORE_FAILED = 22,    /* the core that had to act has failed */
    FOS_TOO_DEEP = 23,
    FOS_INTERRUPTED = 24,    /* the thread was stopped while it waited, and resumed */
    FOS_NO_FRAMES = 64,      /* the program's memory is used up: give it more in the image */
    FOS_NO_ADDRESSES = 65,
    FOS_NO_ROOT = 66,        /* the image does not let the program register or look up */
    FOS_BAD_NAME = 67        /* empty, too long, no UTF-8, or of the wrong kind */
};

/* A status as a word, such as "Full": static, never null, "Unknown" for numbers that are none. */
const char *fos_status_name(fos_status status);

/* What a program has: given to fos_main, valid until that returns. Never made or ended by the program. */
struct fos;
/* A mailbox: the program's from fos_mailbox_create to fos_mailbox_destroy. */
struct fos_mailbox;

/* The right to reach one mailbox, as plain data: may be copied, stored and sent. All zero is no key. Whoever has it may use
 * it, so it is a secret. */
struct fos_key {
    uint64_t mailbox;
    uint32_t entry;
    uint32_t machine;
    uint64_t secret[2];
};

/* Where to send, and who receives there. */
struct fos_address {
    struct fos_key key;
    uint64_t identity; /* of the process that registered the name: what messages from it are stamped with */
};

/* The program. arguments[0] is its name, arguments[argument_count] is null; all are valid until it returns. */
int fos_main(struct fos *fos, int argument_count, const char *const *arguments);

/* Ends the program with this status, at once. */
_Noreturn void fos_exit(uint8_t status);

/* Who this process is, as receivers of its messages see it; never used again after it. */
uint64_t fos_identity(const struct fos *fos);
/* The core that it runs on. */
uint32_t fos_core(const struct fos *fos);

/* The time in nanoseconds, from an arbitrary beginning, alike in all processes of a machine. */
uint64_t fos_now(const struct fos *fos);
/* The deadline so many nanoseconds from now. In ticks of the machine's counter: compare it with nothing but others. */
uint64_t fos_after(const struct fos *fos, uint64_t nanoseconds);
#define FOS_NEVER UINT64_MAX
#define FOS_AT_ONCE UINT64_C(0)

/* --- Mailboxes: many send, the thread that made it receives. --- */

/* Makes a mailbox with this many slots and room for this many keys.
 * FOS_BAD_ARGUMENT: numbers that are not allowed. FOS_NO_FRAMES, FOS_NO_ADDRESSES: no memory for it. */
fos_status fos_mailbox_create(struct fos *fos, size_t slots, size_t keys, struct fos_mailbox **mailbox);

/* Ends it: its keys are void, what was not received is gone, whoever watches it is told. Not to be used again, whatever
 * the answer. */
fos_status fos_mailbox_destroy(struct fos *fos, struct fos_mailbox *mailbox);

/* Rights of a key. */
#define FOS_SEND 1u    /* send messages */
#define FOS_ATTACH 2u  /* attach a capability to a message; this library does not */
#define FOS_RING 4u    /* wake without a message; needed by those who are to be sent to over a channel */
#define FOS_DERIVE 8u  /* make weaker keys of it */
#define FOS_WATCH 16u  /* be told when the mailbox ends */

/* Makes a key to it. The badge comes with each message that is sent with it: it tells apart who was given which key.
 * FOS_NO_SLOT: it has as many keys as it has room for. */
fos_status fos_mailbox_key(const struct fos_mailbox *mailbox, uint32_t rights, uint64_t badge, struct fos_key *key);

/* Ends a key of this mailbox, and all that were derived from it. What was sent with it before stays. */
fos_status fos_key_revoke(const struct fos_mailbox *mailbox, const struct fos_key *key);

/* What a message is. */
#define FOS_MESSAGE_DATA 0u       /* bytes from a process: do not trust them */
#define FOS_MESSAGE_ENDED 2u      /* from the kernel: what was watched with the cookie in `badge` has ended; a struct fos_notice */
#define FOS_MESSAGE_INTERRUPT 3u  /* from the kernel; a struct fos_notice */
#define FOS_MESSAGE_FAULT 4u      /* from the kernel: a thread faulted */
#define FOS_MESSAGE_OTHER 255u    /* a kind that this library does not know: ignore it */

/* A message, beside its bytes. */
struct fos_message {
    size_t length;     /* bytes */
    uint64_t sender;   /* the process that sent it, as the kernel says; 0 is the kernel */
    uint64_t badge;    /* of the key that it was sent with */
    uint32_t kind;
    uint32_t reserved;
};

/* Bytes of a notice. */
struct fos_notice {
    uint64_t what;   /* why it ended: 1 it exited, 2 it was destroyed, 3 its core failed; an interrupt's line */
    uint64_t detail; /* a thread's exit status; how often an interrupt came */
};

/* Copies the next message to `buffer` and frees its room in the mailbox; waits for one until the deadline. A capability that
 * came with it is given up.
 * FOS_TIMED_OUT: there is none. FOS_TOO_LONG: the buffer has fewer than message->length bytes, which is set; the message stays. */
fos_status fos_receive(struct fos_mailbox *mailbox, void *buffer, size_t capacity, struct fos_message *message,
                       uint64_t deadline);

/* Waits until one of 1 to FOS_SELECT_MAX mailboxes has a message, or the deadline. Bit n of `ready`: look at mailboxes[n]. A
 * bit may be set for a mailbox that turns out to be empty, so receive from it with FOS_AT_ONCE.
 * FOS_TIMED_OUT: none has. FOS_BAD_ARGUMENT: none or too many are named. */
fos_status fos_select(const struct fos_mailbox *const *mailboxes, size_t count, uint64_t deadline, uint32_t *ready);

/* --- Sending: anyone who has a key, from any thread. A message is taken whole or not at all. --- */

/* Sends 0 to FOS_MESSAGE_MAX bytes. `bytes` may be null if there are none. FOS_DONE: the message is in the mailbox.
 * FOS_FULL: no room now. FOS_CLOSED, FOS_BAD_KEY: it will not become better; look the name up again. */
fos_status fos_try_send(const struct fos_key *key, const void *bytes, size_t length);

/* As fos_try_send, but waits for room until the deadline, then answers FOS_FULL. */
fos_status fos_send(const struct fos *fos, const struct fos_key *key, const void *bytes, size_t length, uint64_t deadline);

/* Has the mailbox get one message of kind FOS_MESSAGE_ENDED, with the cookie as its badge, when the mailbox that the key
 * opens ends. What was sent there and not answered by then is lost. The key needs FOS_WATCH.
 * FOS_CLOSED: it has ended already. FOS_NO_SLOT: half of the mailbox's slots are set aside for such messages already. */
fos_status fos_watch(const struct fos_mailbox *mailbox, const struct fos_key *key, uint64_t cookie);

/* --- Names: root's, of 1 to FOS_NAME_MAX bytes, or, with a `/` at the beginning, naming's, of 1 to FOS_PATH_MAX. --- */

/* Has whoever looks up `name`, one of root's, be given this key, until the program ends. A name that another program has stays that
 * program's, which the console is told. Waits only while the registry has no room. */
fos_status fos_register(struct fos *fos, const char *name, const struct fos_key *key, uint64_t deadline);

/* Finds who registered `name`, and waits until somebody has; one of a fleet, if the name is one of naming's.
 * FOS_TIMED_OUT: nobody has until the deadline. */
fos_status fos_look_up(struct fos *fos, const char *name, struct fos_address *address, uint64_t deadline);

/* Sends to whoever has a name: the program's from fos_sender_create to fos_sender_destroy. */
struct fos_sender;

/* Makes one. Looks nothing up yet. FOS_BAD_NAME: it can't be a name. */
fos_status fos_sender_create(const char *name, struct fos_sender **sender);

/* Ends it. Null is nothing. */
void fos_sender_destroy(struct fos_sender *sender);

/* As fos_send, to whoever has the name: looked up when it is needed, and again when whoever had it has ended, without the
 * program seeing it. A message is accepted once, by one of them, or by none.
 * FOS_TIMED_OUT: nobody has the name. FOS_CLOSED: the name still leads to one that has ended. FOS_FULL: there was no room. */
fos_status fos_sender_send(struct fos *fos, struct fos_sender *sender, const void *bytes, size_t length, uint64_t deadline);

/* --- Text, for people. --- */

#define FOS_OUT 0u           /* the program's output; the console, if it has none */
#define FOS_ERROR_STREAM 1u  /* its error stream; its output, if it has none */
#define FOS_CONSOLE 2u       /* the machine's console */

/* Writes bytes to a stream. What fits one message is not mixed with others' text. Waits for a reader 2 s per message, then
 * answers FOS_FULL. `bytes` may be null if there are none. */
fos_status fos_write(uint32_t stream, const void *bytes, size_t length);

/* Writes formatted text to FOS_OUT, at most FOS_MESSAGE_MAX bytes of it. Knows %s %c %d %i %u %x %p %%, with l, ll, z for
 * numbers of other sizes; no widths, no precision: what it does not know, it writes as it stands. */
__attribute__((format(printf, 1, 2))) fos_status fos_printf(const char *format, ...);

/* The layouts that the library was built with. */
#ifndef __cplusplus
_Static_assert(sizeof(struct fos_key) == 32, "struct fos_key");
_Static_assert(sizeof(struct fos_address) == 40, "struct fos_address");
_Static_assert(sizeof(struct fos_message) == 32, "struct fos_message");
_Static_assert(sizeof(struct fos_notice) == 16, "struct fos_notice");
#endif

#ifdef __cplusplus
}
#endif

#endif
