//! Capability tables. A table belongs to a space and is written by that space's home core alone; every
//! core may read it, without locks. The exception is a slot's count of children, which any core lowers.
//!
//! A slot remembers the slot it was derived from (`parent`) and that slot's *stamp* at the time. It is
//! valid while every slot up the chain still has the stamp its child remembers. Revoking a capability
//! changes its stamp: everything derived from it, wherever it went, is refused from that moment on, and a
//! job then goes over all cores to undo what the dead capabilities had brought about.

use crate::cores;
use crate::objects::{Object, Reference, reference_to, resolve};
use crate::space::Space;
use core::sync::atomic::{AtomicU64, Ordering};
use fos_abi::Error;
use fos_abi::capability::{Handle, KINDS, Kind, Rights};
use fos_abi::limits::DERIVATION_DEPTH;

/// One slot: eight words. What they hold depends on the kind.
///
/// | word | ranges (Frames, Device, Ports ..) | objects | Watch |
/// |---|---|---|---|
/// | meta | kind 8, rights 8, children 16, stamp 32 | same | same |
/// | object | first 32, fallback 32 | reference | reference of what is watched |
/// | length | count | frames it was built in (owner), else 0 | reference of the mailbox |
/// | parent, stamp | derived from | same | next watcher; cookie |
/// | mapped, low, high | space it was mapped in, and between which pages | unused | unused |
///
/// The stamp goes up with every revocation and every use of the slot and never comes back: a slot whose stamp
/// has run out has no more children, and is not used again. `low` also holds the slot's epoch, for handles.
#[repr(C, align(64))]
pub struct Slot {
    meta: AtomicU64,
    object: AtomicU64,
    length: AtomicU64,
    parent: AtomicU64,
    stamp: AtomicU64,
    mapped: AtomicU64,
    low: AtomicU64,
    high: AtomicU64,
}
const _: () = assert!(size_of::<Slot>() == 64);

/// What a slot holds, read in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its kind.
    pub kind: Kind,
    /// Its rights.
    pub rights: Rights,
    /// See [`Slot`].
    pub object: u64,
    /// See [`Slot`].
    pub length: u64,
    /// The slot it was derived from, or [`NO_PARENT`].
    pub parent: u64,
    /// That slot's stamp, and its space's generation.
    pub stamp: u64,
}

/// The parent of a capability that was there at boot.
pub const NO_PARENT: u64 = u64::MAX;

const KIND: u64 = 0x7f;
/// A job is undoing what this capability brought about; nobody else may use it.
const DROPPING: u64 = 0x80;
const CHILD: u64 = 1 << 16;
const CHILDREN: u64 = 0xffff << 16;
const STAMP: u64 = 1 << 32;
const LAST_STAMP: u32 = u32::MAX;

/// The word `high` is a page number, at most 2^36, and above it a count of mappings noted.
const NOTES_SHIFT: u32 = 40;
const PAGE_NUMBER: u64 = (1 << NOTES_SHIFT) - 1;
/// The word `low` is a page number, and above it the epoch, and a mark while everything is being unmapped.
const EPOCH_SHIFT: u32 = 40;
const EPOCH: u64 = 0xffff << EPOCH_SHIFT;
const UNMAPPING: u64 = 1 << 63;

impl Capability {
    /// The object's reference.
    pub fn reference(&self) -> Reference {
        Reference(self.object)
    }
    /// First of a range.
    #[inline(always)]
    pub fn first(&self) -> u64 {
        self.object & 0xffff_ffff
    }
    /// Whether this kind is a range of something.
    pub fn is_range(&self) -> bool {
        matches!(self.kind, Kind::Frames | Kind::Device | Kind::Ports | Kind::Interrupts | Kind::Cores)
    }
    /// Whether this slot stands for the frames that an object was built in.
    pub fn is_owner(&self) -> bool {
        matches!(self.kind, Kind::Thread | Kind::Space | Kind::Mailbox | Kind::Tables) && self.length > 0
    }
    /// Asks for a kind and rights.
    #[inline(always)]
    pub fn expect(&self, kind: Kind, rights: Rights) -> Result<(), Error> {
        if self.kind != kind {
            return Err(Error::WrongKind);
        }
        if !self.rights.contains(rights) {
            return Err(Error::NoRights);
        }
        Ok(())
    }
    /// The live object of type `T`.
    #[inline(always)]
    pub fn object<T: Object>(&self) -> Result<&'static T, Error> {
        resolve(self.reference()).ok_or(Error::Closed)
    }
}

impl Slot {
    /// Whether nothing is there.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.meta.load(Ordering::Acquire) & KIND == 0
    }

    /// What is there, read so that a change halfway is noticed.
    #[inline(always)]
    pub fn read(&self) -> Option<Capability> {
        let meta = self.meta.load(Ordering::Acquire);
        let capability = Capability {
            kind: *KINDS.get((meta & KIND) as usize)?,
            rights: Rights((meta >> 8) as u8),
            object: self.object.load(Ordering::Relaxed),
            length: self.length.load(Ordering::Relaxed),
            parent: self.parent.load(Ordering::Relaxed),
            stamp: self.stamp.load(Ordering::Relaxed),
        };
        core::sync::atomic::fence(Ordering::Acquire);
        let same = (self.meta.load(Ordering::Relaxed) ^ meta) & !CHILDREN == 0;
        (same && capability.kind != Kind::Empty).then_some(capability)
    }

    /// Marks the slot as being dropped. Says whether no other job had. Home core only.
    pub fn begin_drop(&self) -> bool {
        self.meta.fetch_or(DROPPING, Ordering::AcqRel) & DROPPING == 0
    }
    /// The drop is given up. Home core only.
    pub fn end_drop(&self) {
        self.meta.fetch_and(!DROPPING, Ordering::AcqRel);
    }
    /// Whether a job is dropping it.
    #[inline(always)]
    pub fn is_dropping(&self) -> bool {
        self.meta.load(Ordering::Relaxed) & DROPPING != 0
    }

    /// What a child remembers.
    fn stamp(&self) -> u32 {
        (self.meta.load(Ordering::Acquire) >> 32) as u32
    }
    /// The part of the handle that changes with each use of the slot: 16 bits.
    #[inline(always)]
    pub fn epoch(&self) -> u32 {
        ((self.low.load(Ordering::Relaxed) & EPOCH) >> EPOCH_SHIFT) as u32
    }
    /// Capabilities derived from this one.
    pub fn children(&self) -> u64 {
        (self.meta.load(Ordering::Acquire) & CHILDREN) >> 16
    }

    /// Fills an empty slot. Home core only.
    pub fn fill(&self, capability: &Capability) {
        self.object.store(capability.object, Ordering::Relaxed);
        self.length.store(capability.length, Ordering::Relaxed);
        self.parent.store(capability.parent, Ordering::Relaxed);
        self.stamp.store(capability.stamp, Ordering::Relaxed);
        self.mapped.store(0, Ordering::Relaxed);
        self.low.store(self.low.load(Ordering::Relaxed) & EPOCH, Ordering::Relaxed);
        let stamp = u64::from(self.stamp()) << 32;
        let meta = stamp | capability.kind as u64 | u64::from(capability.rights.0) << 8;
        self.meta.store(meta, Ordering::Release);
    }

    /// Changes what a slot names, its place in the chain unchanged. Home core only.
    pub fn convert(&self, kind: Kind, object: u64, length: u64) {
        let meta = self.meta.load(Ordering::Relaxed);
        self.meta.store(meta & !KIND, Ordering::Release);
        core::sync::atomic::fence(Ordering::SeqCst);
        self.object.store(object, Ordering::Relaxed);
        self.length.store(length, Ordering::Relaxed);
        self.mapped.store(0, Ordering::Relaxed);
        self.low.fetch_and(EPOCH, Ordering::Relaxed);
        self.meta.store(meta & !KIND | kind as u64, Ordering::Release);
    }

    /// Empties a slot; handles to it are stale from now on. Says whether it may be used again. Home core only.
    pub fn clear(&self) -> bool {
        let epoch = (self.low.load(Ordering::Relaxed) & EPOCH).wrapping_add(1 << EPOCH_SHIFT) & EPOCH;
        self.low.store(epoch, Ordering::Relaxed);
        let stamp = self.stamp().saturating_add(1);
        self.meta.store(u64::from(stamp) << 32, Ordering::Release);
        stamp != LAST_STAMP
    }

    /// Adds one child. Home core only (others may lower the count at the same time).
    fn add_child(&self) -> Result<(), Error> {
        if self.children() == CHILDREN >> 16 || self.stamp() == LAST_STAMP {
            return Err(Error::NoSlot);
        }
        self.meta.fetch_add(CHILD, Ordering::AcqRel);
        Ok(())
    }

    /// So many stamps before the last one.
    #[cfg(test)]
    pub fn wear_out(&self, left: u32) {
        self.meta.fetch_or(u64::from(LAST_STAMP - left) << 32, Ordering::Relaxed);
    }

    /// Takes one child off, if the slot still has the stamp that the child remembers.
    fn remove_child(&self, stamp: u32) {
        let mut meta = self.meta.load(Ordering::Acquire);
        while (meta >> 32) as u32 == stamp && meta & CHILDREN != 0 {
            match self.meta.compare_exchange_weak(meta, meta - CHILD, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => meta = now,
            }
        }
    }

    /// Ends the validity of everything derived from this slot. Says whether there was anything.
    pub fn revoke(&self) -> bool {
        let mut meta = self.meta.load(Ordering::Acquire);
        loop {
            if meta & CHILDREN == 0 {
                return false;
            }
            // A slot with children has not come to its last stamp.
            let next = (meta & !CHILDREN) + STAMP;
            match self.meta.compare_exchange_weak(meta, next, Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => {
                    note_invalidation();
                    return true;
                }
                Err(now) => meta = now,
            }
        }
    }

    /// Whether it remembers a mapping. Home core only.
    #[inline(always)]
    pub fn is_mapped(&self) -> bool {
        self.mapped.load(Ordering::Relaxed) != 0
    }

    /// Where the capability was mapped: the space, and the pages between which. Home core only.
    pub fn mapping(&self) -> Option<(Reference, u64, u64)> {
        let space = self.mapped.load(Ordering::Acquire);
        (space != 0).then(|| {
            let [low, high] = [&self.low, &self.high].map(|word| word.load(Ordering::Relaxed) & PAGE_NUMBER);
            (Reference(space), low, high)
        })
    }

    /// Whether it still remembers pages that were noted, and nobody is unmapping them. Any core may ask: what it
    /// finds is as old as the last `begin_unmapping` that it knows of, or newer.
    pub fn remembers(&self, space: Reference, page: u64, count: u64) -> bool {
        let low = self.low.load(Ordering::Acquire);
        let high = self.high.load(Ordering::Acquire) & PAGE_NUMBER;
        let same = self.mapped.load(Ordering::Acquire) == space.0;
        same && low & UNMAPPING == 0 && low & PAGE_NUMBER <= page && page + count <= high
    }

    /// Everything mapped with it is being unmapped: nothing more may be, until `end_unmapping`. Home core only.
    pub fn begin_unmapping(&self) {
        self.low.fetch_or(UNMAPPING, Ordering::AcqRel);
    }
    /// See `begin_unmapping`: it is, unless something was noted since `notes` were counted.
    pub fn end_unmapping(&self, notes: u64) {
        self.forget_mapping(notes);
        self.low.fetch_and(!UNMAPPING, Ordering::AcqRel);
    }

    /// Records that pages are about to be mapped. A capability is mapped in one space at a time.
    #[inline(always)]
    pub fn note_mapping(&self, space: Reference, page: u64, count: u64) -> Result<(), Error> {
        let before = self.low.load(Ordering::Relaxed);
        if before & UNMAPPING != 0 {
            return Err(Error::InUse);
        }
        let (low, high) = match self.mapped.load(Ordering::Relaxed) {
            0 => (page, page + count),
            other if other == space.0 => {
                let high = self.high.load(Ordering::Relaxed) & PAGE_NUMBER;
                ((before & PAGE_NUMBER).min(page), high.max(page + count))
            }
            _ => return Err(Error::AlreadyMapped),
        };
        let notes = (self.notes() + 1) << NOTES_SHIFT;
        self.low.store(before & EPOCH | low, Ordering::Relaxed);
        self.high.store(high | notes, Ordering::Relaxed);
        self.mapped.store(space.0, Ordering::Release);
        Ok(())
    }

    /// Counts mappings that were noted: who is to forget them looks whether another came meanwhile.
    pub fn notes(&self) -> u64 {
        self.high.load(Ordering::Relaxed) >> NOTES_SHIFT
    }

    /// Nothing is mapped with it any more, unless something was noted since `notes` were counted.
    pub fn forget_mapping(&self, notes: u64) {
        if self.notes() == notes {
            self.mapped.store(0, Ordering::Release);
            // No page lies behind this, until the next is noted.
            self.low.fetch_or(PAGE_NUMBER, Ordering::Release);
        }
    }

    /// The capability, in the same table, for the frame that takes the place of these frames when they are
    /// revoked.
    pub fn fallback(&self) -> Option<Handle> {
        (self.object.load(Ordering::Relaxed) >> 32).checked_sub(1).map(|handle| Handle(handle as u32))
    }

    /// Sets it.
    pub fn set_fallback(&self, handle: Option<Handle>) {
        let handle = handle.map_or(0, |handle| u64::from(handle.0) + 1);
        let object = self.object.load(Ordering::Relaxed);
        self.object.store(object & 0xffff_ffff | handle << 32, Ordering::Release);
    }

    /// For empty slots: the next free one.
    pub fn link(&self) -> u64 {
        self.object.load(Ordering::Relaxed)
    }
    /// See `link`.
    pub fn set_link(&self, next: u64) {
        self.object.store(next, Ordering::Relaxed);
    }

    /// For watches: the next watcher of the same thing.
    pub fn next_watcher(&self) -> u64 {
        self.parent.load(Ordering::Relaxed)
    }
    /// For watches: the notice was sent.
    pub fn mark_told(&self) {
        self.mapped.store(1, Ordering::Release);
    }
    /// See `mark_told`.
    pub fn was_told(&self) -> bool {
        self.mapped.load(Ordering::Acquire) == 1
    }
    /// See `next_watcher`.
    pub fn set_next_watcher(&self, next: u64) {
        self.parent.store(next, Ordering::Relaxed);
    }
}

/// The slot that a capability was derived from, if that space still exists.
fn parent_slot(parent: u64, stamp: u64) -> Option<&'static Slot> {
    let space = resolve::<Space>(Reference(parent & 0xffff_ffff | stamp & 0xffff_ffff_0000_0000))?;
    space.slot((parent >> 32) as usize)
}

/// Whether every slot up the chain still stands. Bounded by the depth that `derive` allows.
#[inline(always)]
pub fn is_valid(capability: &Capability) -> bool {
    let (mut parent, mut stamp) = (capability.parent, capability.stamp);
    if capability.kind == Kind::Watch {
        return true;
    }
    for _ in 0..=DERIVATION_DEPTH {
        if parent == NO_PARENT {
            return true;
        }
        let Some(slot) = parent_slot(parent, stamp) else { return false };
        let Some(up) = slot.read() else { return false };
        if slot.stamp() != stamp as u32 {
            return false;
        }
        (parent, stamp) = (up.parent, up.stamp);
    }
    false
}

/// How many steps up the chain goes.
fn depth(capability: &Capability) -> usize {
    let (mut parent, mut stamp) = (capability.parent, capability.stamp);
    let mut steps = 0;
    while parent != NO_PARENT && steps <= DERIVATION_DEPTH {
        let Some(up) = parent_slot(parent, stamp).and_then(Slot::read) else { break };
        (parent, stamp) = (up.parent, up.stamp);
        steps += 1;
    }
    steps
}

/// A capability's parent has one child less.
pub fn leave_parent(capability: &Capability) {
    if capability.kind != Kind::Watch
        && capability.parent != NO_PARENT
        && let Some(slot) = parent_slot(capability.parent, capability.stamp)
    {
        slot.remove_child(capability.stamp as u32);
    }
}

/// Counts events after which a capability may have become invalid: revocations, and ends of spaces and mailboxes.
static INVALIDATIONS: AtomicU64 = AtomicU64::new(1);

/// Something that capabilities were derived from is valid no longer.
pub fn note_invalidation() {
    INVALIDATIONS.fetch_add(1, Ordering::SeqCst);
}

/// A core's memory of slots that it found valid: slot, stamp, and the count of invalidations before it looked.
#[derive(Clone, Copy, Default)]
pub struct Validated(u64, u32, u64);

/// Entries of that memory: a power of two.
pub const VALIDATED: usize = 32;

/// As [`is_valid`], but does not walk the chain again if nothing was invalidated since this core last did.
#[inline(always)]
fn is_valid_lately(slot: &Slot, capability: &Capability) -> bool {
    let address = slot as *const Slot as u64;
    let place = &cores::this().validated[(address >> 6) as usize % VALIDATED];
    let now = Validated(address, slot.stamp(), INVALIDATIONS.load(Ordering::SeqCst));
    let Validated(slot, stamp, count) = place.get();
    if slot == now.0 && stamp == now.1 && count == now.2 {
        return true;
    }
    let valid = is_valid(capability);
    if valid {
        place.set(now);
    }
    valid
}

/// What a slot was before a capability was found in it. While it is the same, and nothing was invalidated
/// anywhere, the capability would be found again.
#[derive(Clone, Copy)]
pub struct Finding {
    slot: *const Slot,
    meta: u64,
    invalidations: u64,
}

impl Finding {
    /// To be made before the capability is looked for.
    pub fn before(slot: &Slot) -> Finding {
        let invalidations = INVALIDATIONS.load(Ordering::SeqCst);
        Finding { slot, meta: slot.meta.load(Ordering::Acquire), invalidations }
    }
    /// Whether it would be found again. All zero, it would not.
    #[inline(always)]
    pub fn stands(&self) -> bool {
        // SAFETY: the count begins at 1, so this was made by `before`; a table stays as long as its space's threads.
        self.invalidations == INVALIDATIONS.load(Ordering::SeqCst)
            && unsafe { &*self.slot }.meta.load(Ordering::Acquire) == self.meta
    }
}

/// Finds a valid capability by handle.
#[inline(always)]
pub fn find(space: &'static Space, handle: u64) -> Result<(&'static Slot, Capability), Error> {
    let handle = u32::try_from(handle).map(Handle).map_err(|_| Error::BadCapability)?;
    let slot = space.slot(handle.index()).filter(|_| space.is_alive()).ok_or(Error::BadCapability)?;
    let capability = slot.read().ok_or(Error::BadCapability)?;
    if slot.epoch() != handle.0 >> 16 || slot.is_dropping() || !is_valid_lately(slot, &capability) {
        return Err(Error::BadCapability);
    }
    Ok((slot, capability))
}

/// Finds a capability of a kind, with rights.
#[inline(always)]
pub fn find_kind(
    space: &'static Space,
    handle: u64,
    kind: Kind,
    rights: Rights,
) -> Result<(&'static Slot, Capability), Error> {
    let (slot, capability) = find(space, handle)?;
    capability.expect(kind, rights)?;
    Ok((slot, capability))
}

/// Puts a capability into a free slot of a space at home here.
pub fn insert(space: &'static Space, capability: &Capability) -> Result<Handle, Error> {
    let index = space.take_free_slot().ok_or(Error::NoSlot)?;
    let slot = space.slot(index).ok_or(Error::NoSlot)?;
    slot.fill(capability);
    Ok(Handle::new(index, slot.epoch()))
}

/// Derives a capability in the same table: fewer rights, a part of the range.
pub fn derive(
    space: &'static Space,
    handle: u64,
    rights: Rights,
    first: u64,
    count: u64,
) -> Result<Handle, Error> {
    let (slot, capability) = find(space, handle)?;
    if !capability.rights.contains(Rights::DERIVE.with(rights)) {
        return Err(Error::NoRights);
    }
    let mut child = capability;
    match capability.kind {
        Kind::Watch | Kind::Interrupt | Kind::Tables => return Err(Error::WrongKind),
        _ if capability.is_range() => {
            let end = first.checked_add(count).ok_or(Error::BadArgument)?;
            if count == 0 || end > capability.length {
                return Err(Error::BadArgument);
            }
            child.object = capability.first() + first;
            child.length = count;
        }
        _ if first != 0 || count != 0 => return Err(Error::BadArgument),
        Kind::Machine => {}
        _ => child.length = 0,
    }
    child.rights = rights;
    insert_child(space, slot, &capability, child)
}

/// Puts a child of a slot into the same table.
pub fn insert_child(
    space: &'static Space,
    slot: &Slot,
    parent: &Capability,
    mut child: Capability,
) -> Result<Handle, Error> {
    if depth(parent) >= DERIVATION_DEPTH {
        return Err(Error::TooDeep);
    }
    let reference = reference_to(space);
    child.parent = reference.frame() | (space.index_of(slot) as u64) << 32;
    child.stamp = u64::from(slot.stamp()) | u64::from(reference.generation()) << 32;
    slot.add_child()?;
    space.had_children.set(true);
    insert(space, &child).inspect_err(|_| slot.remove_child(child.stamp as u32))
}

/// What must hold of a capability that is to leave a table: no children, nothing mapped, movable.
pub fn check_movable(slot: &Slot, capability: &Capability) -> Result<(), Error> {
    if !capability.rights.contains(Rights::MOVE) {
        return Err(Error::NoRights);
    }
    if matches!(capability.kind, Kind::Watch | Kind::Interrupt | Kind::Tables | Kind::Mailbox)
        || capability.is_owner()
    {
        return Err(Error::WrongKind);
    }
    if slot.children() != 0 {
        return Err(Error::HasChildren);
    }
    if slot.is_mapped() || capability.kind == Kind::Frames && slot.fallback().is_some() {
        return Err(Error::StillMapped);
    }
    Ok(())
}

/// Takes a movable capability out of a table at home here.
pub fn take(space: &'static Space, slot: &Slot, capability: &Capability) -> Result<Capability, Error> {
    check_movable(slot, capability)?;
    space.free_slot(space.index_of(slot));
    Ok(*capability)
}
