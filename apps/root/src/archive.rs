//! The boot archive: cpio in its "newc" form (cpio(5), "New ASCII Format"), read in place. The host made it, but
//! every length in it is checked as if a stranger had.
//!
//! ```text
//!  "070701" | 13 fields of 8 hexadecimal digits | name, ended by a zero | to 4 | bytes of the file | to 4
//! ```
//!
//! The file's size is the seventh field, the name's size (its zero included) the twelfth. An entry named
//! "TRAILER!!!" ends the archive.

/// Bytes before the name.
const HEADER_BYTES: usize = 6 + 13 * 8;
const MAGIC: &[u8] = b"070701";
const FILE_SIZE_FIELD: usize = 6;
const NAME_SIZE_FIELD: usize = 11;
const TRAILER: &[u8] = b"TRAILER!!!";

/// A file in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name; bytes, since nothing promises more.
    pub name: &'a [u8],
    /// What it holds.
    pub bytes: &'a [u8],
}

/// The archive's bytes up to the first entry that cannot be read.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a>(pub &'a [u8]);

impl<'a> Archive<'a> {
    /// Its files, in order. Ends at the trailer, and at the first entry that does not fit the archive.
    pub fn entries(self) -> impl Iterator<Item = Entry<'a>> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (entry, after) = split_entry(rest)?;
            rest = after;
            (entry.name != TRAILER).then_some(entry)
        })
        .fuse()
    }

    /// The file of that name.
    pub fn find(self, name: &str) -> Option<&'a [u8]> {
        self.entries().find(|entry| entry.name == name.as_bytes()).map(|entry| entry.bytes)
    }
}

fn split_entry(archive: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let header = archive.get(..HEADER_BYTES)?.strip_prefix(MAGIC)?;
    let name_end = HEADER_BYTES.checked_add(field(header, NAME_SIZE_FIELD)?)?;
    let name = archive.get(HEADER_BYTES..name_end)?.strip_suffix(b"\0")?;
    let start = name_end.checked_next_multiple_of(4)?;
    let end = start.checked_add(field(header, FILE_SIZE_FIELD)?)?;
    let bytes = archive.get(start..end)?;
    let after = archive.get(end.checked_next_multiple_of(4)?..).unwrap_or_default();
    Some((Entry { name, bytes }, after))
}

fn field(fields: &[u8], index: usize) -> Option<usize> {
    let digits = fields.get(index * 8..index * 8 + 8)?;
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)? as usize))
}
