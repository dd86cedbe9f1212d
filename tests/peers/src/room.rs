//! What reading a body allocates: however many it promises of something, a reader takes no more room than the bytes that
//! came are worth. A server with a small heap would otherwise end when a count of 2^40 comes.

use crate::Random;
use crate::bodies::{BODY_MAX, Bodies, count};
use crate::till::TillInterface;
use core::cell::Cell;
use fos_messages::interfaces;
use fos_messages::rpc::{Description, Part};
use std::alloc::{GlobalAlloc, Layout, System};

/// A server's heap has 1 MiB, unless it says otherwise.
const ALLOCATED_MAX: usize = 64 << 10;
const BODIES: usize = 4000;

std::thread_local! {
    /// Bytes that this thread was given since it last looked.
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, which counts.
struct Counting;

#[global_allocator]
static HEAP: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came, which keeps the trait's promises; the count beside it is no
// memory that anybody is given, and a thread-local without a destructor needs none.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get() + layout.size());
        // SAFETY: the caller's promise is the one that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, with this layout, so it is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn a_body_is_read_with_little_room_whatever_it_promises() {
    let random = Random::new(11);
    let till = Description::of::<TillInterface>();
    for interface in interfaces::ALL.iter().chain([&till]) {
        for operation in interface.operations {
            for part in [Part::Request, Part::Value, Part::Refusal] {
                let mut bodies = Bodies::new(*interface, part, operation.number);
                for round in 0..BODIES {
                    let mut body = bodies.next(&random);
                    if round % 2 == 0 {
                        let at = random.below(body.len() + 1);
                        body.splice(at..at, count(&random));
                        body.resize(body.len() + random.below(BODY_MAX), 1);
                        body.truncate(BODY_MAX);
                    }
                    ALLOCATED.set(0);
                    (interface.reads)(part, operation.number, &body);
                    let (allocated, name) = (ALLOCATED.get(), interface.name);
                    let what = (part, operation.name, &body);
                    assert!(allocated <= ALLOCATED_MAX, "{name}: {allocated} bytes for {what:02x?}");
                }
            }
        }
    }
}
