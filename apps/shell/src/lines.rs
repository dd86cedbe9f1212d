//! Lines out of what is typed or piped, whatever their pieces. A line that can't be one of commands is told of as that, once, and
//! the next one begins after it.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

/// The longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 512;

/// What came of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line of text, without its end.
    Text(String),
    /// It has more than [`LINE_BYTES_MAX`] bytes.
    TooLong,
    /// It has this byte, which is no text: a control byte but for the tabulator.
    Control(u8),
    /// It is not UTF-8.
    NotText,
}

/// What has come so far.
#[derive(Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
    is_too_long: bool,
    whole: VecDeque<Line>,
}

impl Lines {
    /// Takes bytes; none: the input has ended, which ends the last line too.
    pub fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.end(),
                _ if self.begun.len() < LINE_BYTES_MAX => self.begun.push(*byte),
                _ => self.is_too_long = true,
            }
        }
        if bytes.is_empty() && !self.begun.is_empty() {
            self.end();
        }
    }

    /// The next whole line.
    pub fn take(&mut self) -> Option<Line> {
        self.whole.pop_front()
    }

    fn end(&mut self) {
        let bytes = core::mem::take(&mut self.begun);
        let is_too_long = core::mem::take(&mut self.is_too_long);
        self.whole.push_back(if is_too_long { Line::TooLong } else { line(bytes) });
    }
}

fn line(mut bytes: Vec<u8>) -> Line {
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    let is_control = |byte: &&u8| byte.is_ascii_control() && **byte != b'\t';
    if let Some(control) = bytes.iter().find(is_control) {
        return Line::Control(*control);
    }
    String::from_utf8(bytes).map_or(Line::NotText, Line::Text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]]) -> Vec<Line> {
        let mut lines = Lines::default();
        pieces.iter().for_each(|piece| lines.push(piece));
        core::iter::from_fn(|| lines.take()).collect()
    }

    fn text(text: &str) -> Line {
        Line::Text(text.into())
    }

    #[test]
    fn lines_end_where_they_do_and_where_the_input_does() {
        assert_eq!(all(&[b"li", b"st\r\n\nhelp\nexi"]), [text("list"), text(""), text("help")]);
        assert_eq!(all(&[b"li", b"st\nexi", b"t", b""]), [text("list"), text("exit")]);
        assert_eq!(all(&[b"", b""]), []);
    }

    #[test]
    fn what_is_no_line_of_text_is_told_once() {
        let long = [b'x'; LINE_BYTES_MAX + 1];
        let full = [b'x'; LINE_BYTES_MAX];
        assert_eq!(all(&[&long, &long, b"\nlist\n"]), [Line::TooLong, text("list")]);
        assert_eq!(all(&[&full, b"\n"]).len(), 1);
        assert!(matches!(&all(&[&full, b"\n"])[0], Line::Text(line) if line.len() == LINE_BYTES_MAX));
        assert_eq!(all(&[b"a\x1b[2J\n\x00\nb\tc\n"]), [Line::Control(0x1b), Line::Control(0), text("b\tc")]);
        assert_eq!(all(&[b"\xff\xfe\n"]), [Line::NotText]);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'a')], 0..2000),
            cuts in proptest::collection::vec(1usize..700, 0..8),
        ) {
            let mut pieces: Vec<&[u8]> = vec![];
            let mut rest = &bytes[..];
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                if !piece.is_empty() {
                    pieces.push(piece);
                }
                rest = after;
            }
            if !rest.is_empty() {
                pieces.push(rest);
            }
            let whole: Vec<&[u8]> = if bytes.is_empty() { vec![] } else { vec![&bytes] };
            prop_assert_eq!(all(&pieces), all(&whole));
        }
    }
}
