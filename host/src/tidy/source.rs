//! Rust source as the rules see it: without comments and without what string literals hold, line for line, so that a
//! word in prose is never taken for code. A small lexer, not a parser: it knows line and nested block comments,
//! strings, raw strings and character literals, which is all that can hide code from a search.

/// The code of `text`: comments and the insides of strings replaced by spaces, every line break kept.
pub fn code(text: &str) -> String {
    let mut lexer = Lexer { rest: text, code: String::with_capacity(text.len()) };
    while !lexer.rest.is_empty() {
        lexer.step();
    }
    lexer.code
}

/// Lines that hold code.
pub fn code_lines(text: &str) -> usize {
    code(text).lines().filter(|line| !line.trim().is_empty()).count()
}

struct Lexer<'a> {
    rest: &'a str,
    code: String,
}

impl Lexer<'_> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.blank(end);
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment(self.rest));
        } else if let Some(length) = raw_string(self.rest).filter(|_| self.at_word_start()) {
            self.string(length);
        } else if self.rest.starts_with('"') {
            self.string(quoted(self.rest));
        } else if let Some(length) = character(self.rest) {
            self.blank(length);
        } else {
            let length = self.rest.chars().next().map_or(0, char::len_utf8);
            self.code.push_str(&self.rest[..length]);
            self.rest = &self.rest[length..];
        }
    }

    /// A string counts as code on its lines, whatever it holds.
    fn string(&mut self, length: usize) {
        for line in self.rest[..length].split_inclusive('\n') {
            self.code.push('"');
            if line.ends_with('\n') {
                self.code.push('\n');
            }
        }
        self.rest = &self.rest[length..];
    }

    fn blank(&mut self, length: usize) {
        let breaks = self.rest[..length].matches('\n');
        self.code.push(' ');
        self.code.extend(breaks.map(|_| '\n'));
        self.rest = &self.rest[length..];
    }

    fn at_word_start(&self) -> bool {
        !self.code.ends_with(|before: char| before.is_alphanumeric() || before == '_')
    }
}

/// The length of the block comment at the start, inner ones included.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the raw string at the start (`r"`, `br#"`, ...), if there is one.
fn raw_string(text: &str) -> Option<usize> {
    let after_prefix = ["r", "br", "cr"].iter().find_map(|prefix| {
        let rest = text.strip_prefix(prefix)?;
        rest.starts_with(['"', '#']).then_some(rest)
    })?;
    let hashes = after_prefix.bytes().take_while(|byte| *byte == b'#').count();
    let inside = after_prefix[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inside.find(&close).map_or(inside.len(), |end| end + close.len());
    Some(text.len() - inside.len() + end)
}

/// The length of the string at the start, quotes included.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the character literal at the start; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    if let Some(escape) = inside.strip_prefix('\\') {
        let (end, _) = escape.char_indices().skip(1).find(|(_, character)| *character == '\'')?;
        return Some(end + 3);
    }
    let first = inside.chars().next()?;
    inside[first.len_utf8()..].starts_with('\'').then_some(first.len_utf8() + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_no_code() {
        let text = "let a = 1; // apic\n/* apic /* apic */ apic */ let b = \"apic \\\" apic\";\nlet c = r#\"apic\" apic\"#;";
        assert!(!code(text).contains("apic"), "{}", code(text));
        assert_eq!(code_lines(text), 3);
    }

    #[test]
    fn characters_and_lifetimes_are_told_apart() {
        let text = "fn f<'a>(x: &'a str) -> char { if x == '\"' { '\\'' } else { apic('\\u{1f}') } }";
        assert!(code(text).contains("apic"), "{}", code(text));
        assert!(code(text).contains("&'a str"));
    }

    #[test]
    fn lines_are_counted_as_a_reader_would() {
        assert_eq!(code_lines("//! about\n\nfn f() {\n    // why\n    g(\"a\n\n  b\");\n}\n"), 5);
        assert_eq!(code_lines("/* a\nb */\n"), 0);
    }

    #[test]
    fn this_file_keeps_its_line_numbers() {
        let text = include_str!("source.rs");
        assert_eq!(code(text).lines().count(), text.lines().count());
    }
}
