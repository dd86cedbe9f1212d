/* The C twin of apps/echo: `hello-c serve NAME` answers each message with its bytes, for ever; `hello-c ask NAME` sends a
 * thousand to whoever has that name, in Rust or in C, and looks at the answers.
 *
 * A question begins with the 32 bytes of a key, to which the rest of it goes back. */
#include <fos.h>

#define SLOTS 64
#define KEYS 16
#define QUESTIONS 1000u
/* How long anything may take, on a slow emulator with a busy host. */
#define PATIENCE UINT64_C(30000000000)
/* The cookie that says that the server has ended. */
#define SERVER_ENDED 1u

struct question {
    struct fos_key answer;
    uint32_t number;
};
/* Its bytes, without what the compiler adds behind it. */
#define QUESTION_SIZE (offsetof(struct question, number) + sizeof(uint32_t))

/* Says what went wrong, and answers the program's exit status. */
static int failed(const char *doing, fos_status status)
{
    fos_printf("hello-c: %s: %s\n", doing, fos_status_name(status));
    return 1;
}

/* Answers for ever. A client that takes no answers loses them: nobody is waited for. */
static int serve(struct fos *fos, const char *name)
{
    struct fos_mailbox *mailbox;
    struct fos_key key;
    fos_status status = fos_mailbox_create(fos, SLOTS, KEYS, &mailbox);
    if (!status)
        status = fos_mailbox_key(mailbox, FOS_SEND | FOS_WATCH, 0, &key);
    if (!status)
        status = fos_register(fos, name, &key, fos_after(fos, PATIENCE));
    while (!status) {
        struct {
            struct fos_key answer;
            uint8_t bytes[FOS_MESSAGE_MAX - sizeof(struct fos_key)];
        } question;
        struct fos_message message;
        status = fos_receive(mailbox, &question, sizeof question, &message, FOS_NEVER);
        if (!status && message.kind == FOS_MESSAGE_DATA && message.length >= sizeof question.answer)
            fos_try_send(&question.answer, question.bytes, message.length - sizeof question.answer);
    }
    return failed("serving", status);
}

/* Asks one question, and waits for its answer or for the server's end, whichever is first. */
static fos_status ask_one(struct fos *fos, struct fos_sender *sender, uint64_t server, struct fos_mailbox *answers,
                          struct fos_mailbox *notices, const struct question *question, uint64_t deadline)
{
    const struct fos_mailbox *const both[] = {answers, notices};
    fos_status status = fos_sender_send(fos, sender, question, QUESTION_SIZE, deadline);
    while (!status) {
        uint32_t ready, number;
        struct fos_message message;
        struct fos_notice notice;
        status = fos_select(both, 2, deadline, &ready);
        if (!status && ready & 1 && !fos_receive(answers, &number, sizeof number, &message, FOS_AT_ONCE)) {
            bool is_its = message.sender == server && message.length == sizeof number;
            return is_its && number == question->number ? FOS_DONE : FOS_BAD_ARGUMENT;
        }
        if (!status && ready & 2 && !fos_receive(notices, &notice, sizeof notice, &message, FOS_AT_ONCE)
            && message.kind == FOS_MESSAGE_ENDED && message.badge == SERVER_ENDED)
            return FOS_CLOSED;
    }
    return status;
}

static int ask(struct fos *fos, const char *name)
{
    uint64_t deadline = fos_after(fos, PATIENCE);
    struct fos_mailbox *answers, *notices;
    struct fos_sender *sender;
    struct fos_address server;
    struct question question = {.number = 0};
    fos_status status = fos_mailbox_create(fos, SLOTS, KEYS, &answers);
    if (!status)
        status = fos_mailbox_create(fos, SLOTS, KEYS, &notices);
    if (!status)
        status = fos_mailbox_key(answers, FOS_SEND, 0, &question.answer);
    if (!status)
        status = fos_sender_create(name, &sender);
    if (!status)
        status = fos_look_up(fos, name, &server, deadline);
    if (!status)
        status = fos_watch(notices, &server.key, SERVER_ENDED);
    for (; !status && question.number < QUESTIONS; question.number++)
        status = ask_one(fos, sender, server.identity, answers, notices, &question, deadline);
    if (status)
        return failed(name, status);
    fos_printf("hello-c: %u messages to %s came back\n", question.number, name);
    return 0;
}

static bool equal(const char *one, const char *other)
{
    for (; *one && *one == *other; one++)
        other++;
    return *one == *other;
}

int fos_main(struct fos *fos, int argument_count, const char *const *arguments)
{
    if (argument_count == 3 && equal(arguments[1], "serve"))
        return serve(fos, arguments[2]);
    if (argument_count == 3 && equal(arguments[1], "ask"))
        return ask(fos, arguments[2]);
    fos_printf("hello-c: say `hello-c serve NAME` or `hello-c ask NAME`\n");
    return 2;
}
