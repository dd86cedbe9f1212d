//! Functions on stacks of their own, polled by hand.

use super::*;
use crate::arch::stack::round_down;
use alloc::string::String;
use std::format;

const STACK_BYTES: usize = 256 * 1024;

fn stacks(count: usize) -> Stacks {
    let stacks = Stacks::default();
    for _ in 0..count {
        let memory = Vec::leak(std::vec![0u128; STACK_BYTES / size_of::<u128>()]);
        // SAFETY: leaked just now, so nobody else's for good; aligned as its elements are.
        unsafe { stacks.add(memory.as_mut_ptr_range().end as u64) };
    }
    stacks
}

fn poll<T: 'static>(task: &mut Stackful<T>) -> Poll<T> {
    Pin::new(task).poll(&mut Context::from_waker(Waker::noop()))
}

/// Is pending this often.
fn after(mut times: u32) -> impl Future<Output = ()> {
    core::future::poll_fn(move |_| {
        times = times.saturating_sub(1);
        if times == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
}

/// Waits deep inside of a recursion, with something on each frame.
fn deep(waits: &Waits, depth: u64) -> u64 {
    let local = [depth; 8];
    if depth == 0 {
        waits.block_on(after(3));
        return 0;
    }
    deep(waits, depth - 1) + std::hint::black_box(local)[3]
}

#[test]
fn a_function_waits_deep_inside_and_goes_on_there() {
    let stacks = stacks(1);
    let mut task = stacks.run(|waits| deep(waits, 100));
    assert_eq!(poll(&mut task), Poll::Pending);
    assert_eq!(stacks.free(), 0);
    assert_eq!(poll(&mut task), Poll::Pending);
    assert_eq!(poll(&mut task), Poll::Ready(5050));
    assert_eq!(stacks.free(), 1);
}

#[test]
fn two_functions_take_turns_and_keep_what_is_theirs() {
    let stacks = stacks(2);
    let task = |name: &'static str| {
        stacks.run(move |waits| {
            let mut text = String::new();
            for number in 0..10 {
                text += &format!("{name}{number}");
                waits.block_on(after(2));
            }
            text
        })
    };
    let (mut one, mut other) = (task("a"), task("b"));
    let texts = loop {
        if let (Poll::Ready(one), Poll::Ready(other)) = (poll(&mut one), poll(&mut other)) {
            break [one, other];
        }
    };
    assert_eq!(texts, ["a0a1a2a3a4a5a6a7a8a9", "b0b1b2b3b4b5b6b7b8b9"]);
}

#[test]
fn a_function_without_a_stack_waits_for_one_and_is_woken() {
    struct Count(core::sync::atomic::AtomicU32);
    impl alloc::task::Wake for Count {
        fn wake(self: alloc::sync::Arc<Self>) {
            self.0.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        }
    }
    let count = alloc::sync::Arc::new(Count(0.into()));
    let waker = Waker::from(count.clone());
    let stacks = stacks(1);
    let (mut first, mut second) = (stacks.run(|waits| waits.block_on(after(2))), stacks.run(|_| 7));
    assert_eq!(poll(&mut first), Poll::Pending);
    assert_eq!(Pin::new(&mut second).poll(&mut Context::from_waker(&waker)), Poll::Pending);
    assert_eq!(poll(&mut first), Poll::Ready(()));
    assert_eq!(count.0.load(core::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(poll(&mut second), Poll::Ready(7));
}

#[test]
fn what_a_function_owned_is_dropped_at_its_end_and_not_before() {
    let stacks = stacks(1);
    let owned = Rc::new(());
    let held = owned.clone();
    let mut task = stacks.run(move |waits| {
        waits.pause();
        drop(held);
    });
    assert_eq!(poll(&mut task), Poll::Pending);
    assert_eq!(Rc::strong_count(&owned), 2);
    assert_eq!(poll(&mut task), Poll::Ready(()));
    assert_eq!(Rc::strong_count(&owned), 1);
}

#[test]
fn a_dropped_function_keeps_its_stack() {
    let stacks = stacks(2);
    let mut task = stacks.run(|waits| waits.block_on(core::future::pending::<()>()));
    assert_eq!(poll(&mut task), Poll::Pending);
    drop(task);
    assert_eq!(stacks.free(), 1);
    assert_eq!(poll(&mut stacks.run(|_| 3)), Poll::Ready(3));
}

#[test]
fn the_rounding_mode_is_each_sides_own() {
    /// What 1/3 is depends on the mode.
    fn third() -> u32 {
        (std::hint::black_box(1.0f32) / std::hint::black_box(3.0)).to_bits()
    }
    let stacks = stacks(1);
    let outside = third();
    let mut task = stacks.run(|waits| {
        round_down(true);
        waits.pause();
        let inside = third();
        round_down(false);
        inside
    });
    assert_eq!(poll(&mut task), Poll::Pending);
    assert_eq!(third(), outside);
    assert_eq!(poll(&mut task), Poll::Ready(outside - 1));
    assert_eq!(third(), outside);
}
