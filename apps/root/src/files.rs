//! Files of the boot archive that were started: each is found, checked and read once, and what nobody can write of it is written
//! once, into frames that all its processes map, by capabilities that allow no more than the segment. They stay for the next
//! process, until memory is short.

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use fos_abi::Error;
use fos_abi::capability::Handle;
use fos_abi::limits::PAGE_SIZE;
use fos_abi::space::MapFlags;
use fos_root::archive::Archive;
use fos_root::executable::{self, Executable, Segment};
use fos_root::layout;
use libfos::memory::{Mapping, Memory, MemoryError};

use crate::memory::{self, Frames, Piece};
use crate::starting::{During, StartError, map_part, take};

/// A file that can be started.
#[derive(Debug)]
pub struct File {
    /// What is in it.
    pub executable: Executable,
    /// Its bytes.
    pub bytes: &'static [u8],
    /// The segments that nobody can write, one after another. None: there are none.
    shared: Option<Piece>,
}

impl File {
    fn read(
        bytes: &'static [u8],
        name: &str,
        frames: &mut Frames,
        memory: &mut Memory,
    ) -> Result<File, StartError> {
        let executable =
            executable::parse(bytes).map_err(|error| StartError::Load(name.to_string(), error))?;
        let count = layout::pages(&executable, |segment| !segment.is_writable());
        let mut file = File { executable, bytes, shared: None };
        if count > 0 {
            let piece = take(frames, count)?;
            if let Err(error) = file.write_shared(&piece, memory) {
                // Nothing is built in it, and nobody else has seen it.
                let _ = frames.give_back(piece);
                return Err(error).during("writing what its processes share");
            }
            file.shared = Some(piece);
        }
        Ok(file)
    }

    fn write_shared(&self, piece: &Piece, memory: &mut Memory) -> Result<(), MemoryError> {
        let mapping = memory::map(memory, piece, &(0..piece.frames()), MapFlags::WRITE)?;
        let mut page = 0;
        for segment in self.shared_segments() {
            page += fill(&mapping, page, segment, self.bytes);
        }
        memory.unmap(mapping)?;
        Ok(())
    }

    fn shared_segments(&self) -> impl Iterator<Item = &Segment> {
        self.executable.segments.iter().filter(|segment| !segment.is_writable())
    }

    /// Maps what is shared in a space. What it is mapped by goes into `mapped`, to be deleted when the space has ended.
    pub fn map_shared(&self, space: Handle, mapped: &mut Vec<Handle>) -> Result<(), Error> {
        let Some(piece) = &self.shared else { return Ok(()) };
        let mut next = 0;
        for Segment { pages, flags, .. } in self.shared_segments() {
            let part = next..next + pages.end - pages.start;
            next = part.end;
            mapped.push(map_part(piece, &part, space, pages.start * PAGE_SIZE as u64, *flags)?);
        }
        Ok(())
    }
}

/// Writes a segment's pages from a page of a mapping on, with zeros where the file has nothing; answers with how many.
pub fn fill(mapping: &Mapping, page: u64, segment: &Segment, bytes: &[u8]) -> u64 {
    let pages = segment.pages.end - segment.pages.start;
    let (start, end) = (memory::bytes(page), memory::bytes(page + pages));
    let first = start + segment.offset;
    let file = &bytes[segment.file.clone()];
    let filled = mapping.clear(start..first);
    let filled = filled.and_then(|()| mapping.write(first, file));
    let filled = filled.and_then(|()| mapping.clear(first + file.len()..end));
    debug_assert!(filled.is_ok(), "the layout has room for every segment");
    pages
}

/// The files that were started.
#[derive(Debug)]
pub struct Files {
    archive: Archive<'static>,
    read: BTreeMap<String, Rc<File>>,
}

impl Files {
    /// None of this archive yet.
    pub fn new(archive: Archive<'static>) -> Files {
        Files { archive, read: BTreeMap::new() }
    }

    /// The file of this name, read if it was not yet.
    pub fn get(
        &mut self,
        name: &str,
        frames: &mut Frames,
        memory: &mut Memory,
    ) -> Result<Rc<File>, StartError> {
        if let Some(file) = self.read.get(name) {
            return Ok(file.clone());
        }
        let bytes = self.archive.find(name).ok_or_else(|| StartError::NoFile(name.to_string()))?;
        let file = Rc::new(File::read(bytes, name, frames, memory)?);
        self.read.insert(name.to_string(), file.clone());
        Ok(file)
    }

    /// Gives up what no process uses. Whether there was any.
    pub fn forget_unused(&mut self, frames: &mut Frames) -> bool {
        let before = self.read.len();
        let unused = self.read.extract_if(.., |_, file| Rc::strong_count(file) == 1);
        for file in unused.filter_map(|(_, file)| Rc::into_inner(file)) {
            // Mapped nowhere: what was mapped by it has been deleted.
            let _ = file.shared.map(|piece| frames.give_back(piece));
        }
        self.read.len() < before
    }

    /// Frames of what is shared, which come back when memory is short.
    pub fn frames(&self) -> u64 {
        self.read.values().filter_map(|file| file.shared.as_ref()).map(Piece::frames).sum()
    }
}
