//! Boot archives: cpio in its "newc" form, which QEMU's `-initrd` hands to the kernel as it is and which root reads.
//! The same entries always give the same bytes: no times, no owners, inode numbers in order.

use crate::failure::{Context, Result};
use cpio::NewcBuilder;
use std::io::Write;

/// A file of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without a leading slash.
    pub name: String,
    /// Its permission bits.
    pub mode: u32,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl Entry {
    /// A program.
    pub fn program(name: impl Into<String>, bytes: Vec<u8>) -> Entry {
        Entry { name: name.into(), mode: 0o755, bytes }
    }

    /// A plain file.
    pub fn file(name: impl Into<String>, bytes: Vec<u8>) -> Entry {
        Entry { name: name.into(), mode: 0o644, bytes }
    }
}

const REGULAR_FILE: u32 = 0o100_000;

/// The archive of `entries`, in their order, with its trailer.
pub fn newc(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let doing = format!("adding {} to the boot archive", entry.name);
        let length = u32::try_from(entry.bytes.len()).doing(&doing)?;
        let header =
            NewcBuilder::new(&entry.name).ino(index as u32 + 1).mode(REGULAR_FILE | entry.mode).nlink(1);
        let mut writer = header.write(&mut archive, length);
        writer.write_all(&entry.bytes).doing(&doing)?;
        writer.finish().doing(&doing)?;
    }
    cpio::newc::trailer(&mut archive).doing("ending the boot archive")?;
    Ok(archive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn read_back(mut archive: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut entries = Vec::new();
        loop {
            let mut reader = cpio::NewcReader::new(archive).unwrap();
            if reader.entry().is_trailer() {
                return entries;
            }
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            entries.push((reader.entry().name().to_owned(), bytes));
            archive = reader.finish().unwrap();
        }
    }

    #[test]
    fn entries_of_every_length_come_back() {
        let entries: Vec<Entry> =
            (0..9).map(|length| Entry::file("a".repeat(length + 1), vec![7; length])).collect();
        let archive = newc(&entries).unwrap();
        let expected: Vec<_> = entries.into_iter().map(|entry| (entry.name, entry.bytes)).collect();
        assert_eq!(read_back(&archive), expected);
    }

    #[test]
    fn every_header_and_file_begins_at_a_multiple_of_four() {
        let archive = newc(&[Entry::file("ab", vec![1; 3]), Entry::program("c", vec![2; 5])]).unwrap();
        let headers: Vec<usize> =
            (0..archive.len() - 6).filter(|at| &archive[*at..*at + 6] == b"070701").collect();
        assert_eq!(headers.len(), 3);
        assert!(headers.iter().all(|at| at % 4 == 0), "{headers:?}");
    }

    #[test]
    fn the_same_entries_give_the_same_bytes() {
        let entries = [Entry::program("root", vec![1, 2, 3])];
        assert_eq!(newc(&entries).unwrap(), newc(&entries).unwrap());
    }
}
