/* fos_printf: text with numbers in it, put together in one buffer so that a line is one message. It is C because Rust can't
 * define a function that takes any number of arguments. */
#include <fos.h>
#include <stdarg.h>

struct text {
    size_t length;
    char bytes[FOS_MESSAGE_MAX];
};

static void put(struct text *text, char byte)
{
    if (text->length < sizeof text->bytes)
        text->bytes[text->length++] = byte;
}

static void put_string(struct text *text, const char *string)
{
    for (string = string ? string : "(null)"; *string; string++)
        put(text, *string);
}

static void put_number(struct text *text, uint64_t number, unsigned base)
{
    char digits[20]; /* 2^64 has 20 digits */
    size_t count = 0;
    do {
        digits[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    while (count)
        put(text, digits[--count]);
}

static void put_signed(struct text *text, int64_t number)
{
    if (number < 0)
        put(text, '-');
    put_number(text, number < 0 ? -(uint64_t)number : (uint64_t)number, 10);
}

/* Every size that l, ll and z name is that of a uint64_t here. */
_Static_assert(sizeof(long) == 8 && sizeof(long long) == 8 && sizeof(size_t) == 8, "the sizes of numbers");

fos_status fos_printf(const char *format, ...)
{
    struct text text = {.length = 0};
    va_list arguments;
    va_start(arguments, format);
    for (; format && *format; format++) {
        if (*format != '%') {
            put(&text, *format);
            continue;
        }
        const char *begin = format++;
        bool wide = false;
        for (; *format == 'l' || *format == 'z'; format++)
            wide = true;
        switch (*format) {
        case '%':
            put(&text, '%');
            break;
        case 'c':
            put(&text, (char)va_arg(arguments, int));
            break;
        case 's':
            put_string(&text, va_arg(arguments, const char *));
            break;
        case 'd':
        case 'i':
            put_signed(&text, wide ? va_arg(arguments, int64_t) : va_arg(arguments, int));
            break;
        case 'u':
        case 'x':
            put_number(&text, wide ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned), *format == 'u' ? 10 : 16);
            break;
        case 'p':
            put_string(&text, "0x");
            put_number(&text, (uintptr_t)va_arg(arguments, void *), 16);
            break;
        default:
            /* Not known, or the string ends here: nothing is taken from the arguments. */
            for (; begin < format; begin++)
                put(&text, *begin);
            format--;
        }
    }
    va_end(arguments);
    return fos_write(FOS_OUT, text.bytes, text.length);
}
