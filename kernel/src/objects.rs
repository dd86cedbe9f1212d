//! References to kernel objects: the object's first frame and its incarnation. Looking one up is lock-free
//! on every core; what it gives stays valid until the kernel entry ends, because an object's frames become
//! ordinary memory again only after every core has passed a quiescent point.

use crate::arch::machine::paging::{frame_pointer, pointer_frame};
use crate::frames::{self, frame_kind};

/// Names one incarnation of an object: frame (low 32 bits), generation (high 32 bits). 0 is none, since
/// frame 0 is never RAM that holds an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Reference(pub u64);

impl Reference {
    /// No object.
    pub const NONE: Reference = Reference(0);

    /// The first frame.
    pub fn frame(self) -> u64 {
        self.0 & 0xffff_ffff
    }
    /// The incarnation.
    pub fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// A type that begins at the first frame of its object.
pub trait Object: Sized + 'static {
    /// How the frame table marks that frame.
    const KIND: u8;
}

/// The object that a reference names, if it has not ended.
#[inline(always)]
pub fn resolve<T: Object>(reference: Reference) -> Option<&'static T> {
    let entry = frames::entry(reference.frame())?;
    if entry.kind() != T::KIND || entry.generation() != reference.generation() {
        return None;
    }
    // SAFETY: the frame table says that this frame begins a live T; objects stay in place until every
    // core is quiescent, which this one is not before its entry ends.
    Some(unsafe { &*frame_pointer(reference.frame()).cast::<T>() })
}

/// The object that begins at a frame, ended or not.
///
/// # Safety
/// A `T` must begin there, and something must keep it from going.
pub unsafe fn object_at<T: Object>(frame: u64) -> &'static T {
    // SAFETY: as the caller says.
    unsafe { &*frame_pointer(frame).cast::<T>() }
}

/// The reference to an object now.
#[inline(always)]
pub fn reference_to<T: Object>(object: &T) -> Reference {
    let frame = pointer_frame((object as *const T).cast());
    let generation = frames::entry(frame).map_or(0, |entry| entry.generation());
    Reference(frame | u64::from(generation) << 32)
}

/// Marks the first of claimed frames as an object of type `T`, whose memory is ready.
pub fn publish<T: Object>(frame: u64) -> Reference {
    let Some(entry) = frames::entry(frame) else { return Reference::NONE };
    entry.set_kind(T::KIND);
    Reference(frame | u64::from(entry.generation()) << 32)
}

/// Ends an object: references to it no longer resolve. Its frames stay claimed until `forget`.
pub fn end<T: Object>(object: &T) {
    if let Some(entry) = frames::entry(pointer_frame((object as *const T).cast())) {
        entry.end_generation();
    }
}

/// Whether the incarnation that a reference names has ended and its frames are free again.
pub fn is_gone(reference: Reference) -> bool {
    frames::entry(reference.frame()).is_none_or(|entry| {
        entry.kind() == frame_kind::ORDINARY || (entry.generation().wrapping_sub(reference.generation()) > 1)
    })
}
