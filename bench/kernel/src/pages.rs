//! Mapping, protecting and unmapping pages of the program's own space, whose page tables are there already and which
//! runs on this core alone.

use fos_abi::Error;
use fos_abi::capability::Handle;
use fos_abi::limits::{MAP_MAX, PAGE_SIZE};
use fos_abi::space::MapFlags;
use libfos::calls;
use libfos::measure;
use libfos::spawn::Frames;

use crate::ground::{Broken, During, Ground, refused};
use crate::sample::{counted, print_count};

/// Pages of a batch: the most that one call maps, and one lowest page table's worth.
const BATCH: usize = MAP_MAX;

/// Addresses whose page tables are there, and frames to map at them.
pub struct Field {
    /// The first address, a multiple of what one lowest page table covers.
    pub address: u64,
    /// [`BATCH`] frames.
    pub frames: Handle,
}

impl Field {
    /// Takes addresses and frames, and has the page tables made by mapping and unmapping it all.
    pub fn new(ground: &mut Ground) -> Result<Field, Broken> {
        let frames = ground.supply.take(BATCH as u64).during("taking frames to map")?;
        let table = (BATCH * PAGE_SIZE) as u64;
        let reserved = ground.memory.reserve(2 * BATCH).during("reserving addresses")?;
        let field = Field { address: reserved.next_multiple_of(table), frames };
        let mapped = ground.memory.map_at(Handle::SELF, frames, 0, BATCH, field.address, MapFlags::WRITE);
        mapped.map_err(|(_, error)| refused(error)).during("mapping a field")?;
        field.unmap(BATCH).during("unmapping a field")?;
        Ok(field)
    }

    /// Maps the first `pages` pages, writable.
    #[inline(always)]
    pub fn map(&self, pages: usize) -> Result<(), Error> {
        let pages = pages as u32;
        complete(calls::space_map(Handle::SELF, self.frames, 0, pages, self.address, MapFlags::WRITE), pages)
    }

    /// Unmaps them.
    #[inline(always)]
    pub fn unmap(&self, pages: usize) -> Result<(), Error> {
        complete(calls::space_unmap(Handle::SELF, self.address, pages as u64), pages as u32)
    }

    /// Changes how the first page is mapped.
    #[inline(always)]
    fn protect(&self, flags: MapFlags) -> Result<(), Error> {
        complete(calls::space_protect(Handle::SELF, self.address, 1, flags), 1)
    }

    /// Writes to the first page, which must be mapped writable.
    #[inline(always)]
    pub fn touch(&self) {
        touch(self.address);
    }
}

/// Writes to a page of a field.
#[inline(always)]
pub fn touch(address: u64) {
    // SAFETY: callers name a page of a field that is mapped writable at this moment; the field's frames are no Rust
    // object. Were it not mapped, the thread would fault and measure nothing.
    unsafe { (address as *mut u64).write_volatile(1) };
}

/// A call that did less than it was asked for has not measured what it should.
#[inline(always)]
fn complete(done: Result<u64, Error>, pages: u32) -> Result<(), Error> {
    if done? == u64::from(pages) { Ok(()) } else { Err(Error::Interrupted) }
}

/// Counts them.
pub fn measure(ground: &mut Ground) -> Result<(), Broken> {
    let field = Field::new(ground)?;
    measure_mapping(&field).during("mapping")?;
    measure_unmapping(&field).during("unmapping")?;
    measure_protecting(&field).during("protecting")
}

fn measure_mapping(field: &Field) -> Result<(), Error> {
    let map = |pages| {
        counted(|| {
            let (ticks, mapped) = measure::count(|| field.map(pages));
            mapped?;
            field.unmap(pages)?;
            Ok(ticks)
        })
    };
    print_count("map_page", map(1)?, "one page of 4 KiB, its frame handed over, page tables there already");
    let batch = map(BATCH)?.per(BATCH as u64);
    print_count("map_page_batched", batch, "per page of 512 in one call, one page table's worth, rounded up");
    Ok(())
}

fn measure_unmapping(field: &Field) -> Result<(), Error> {
    let unmap = |pages| {
        counted(|| {
            field.map(pages)?;
            field.touch();
            let (ticks, unmapped) = measure::count(|| field.unmap(pages));
            unmapped?;
            Ok(ticks)
        })
    };
    print_count("unmap_page", unmap(1)?, "one page that was written to, the space runs on this core alone");
    let batch = unmap(BATCH)?.per(BATCH as u64);
    print_count("unmap_page_batched", batch, "per page of 512 in one call, the first written to, rounded up");
    Ok(())
}

fn measure_protecting(field: &Field) -> Result<(), Error> {
    field.map(1)?;
    let restrict = counted(|| {
        field.touch();
        let (ticks, protected) = measure::count(|| field.protect(MapFlags::READ));
        protected?;
        field.protect(MapFlags::WRITE)?;
        Ok(ticks)
    });
    print_count("protect_page", restrict?, "one page that was written to becomes read-only");
    let relax = counted(|| {
        field.protect(MapFlags::READ)?;
        let (ticks, protected) = measure::count(|| field.protect(MapFlags::WRITE));
        protected?;
        field.touch();
        Ok(ticks)
    });
    print_count("protect_page_back", relax?, "one page that is read-only becomes writable again");
    field.unmap(1)
}
