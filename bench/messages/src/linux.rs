//! What Linux offers: its shortest call, and two threads on two cores that wait for each other by pipes, a futex, a pair of
//! AF_UNIX sockets.
//! Threads of one process are Linux's cheaper case: no address space changes, and the futex may be the private kind.

use crate::stream::MESSAGE;
use crate::two_cores::{Cores, Stop};
use std::hint::spin_loop;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Round trips in a burst.
const BURST: u64 = 5;
/// Calls in a burst.
const CALLS: u64 = 500;

/// Linux's shortest call.
pub fn getppid(cores: Cores) -> u64 {
    let operation = || {
        // SAFETY: getppid takes no argument and touches no memory of ours.
        std::hint::black_box(unsafe { libc::syscall(libc::SYS_getppid) });
    };
    cores.sample(CALLS, |_| (), operation, || ())
}

/// 56 bytes there and back through two pipes.
pub fn pipe(cores: Cores) -> u64 {
    let (their_input, our_output) = std::io::pipe().expect("a pipe to the partner");
    let (our_input, their_output) = std::io::pipe().expect("a pipe from the partner");
    byte_streams(cores, (our_input, our_output), (their_input, their_output))
}

/// 56 bytes there and back through a pair of stream sockets.
pub fn unix(cores: Cores) -> u64 {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let input = |socket: &UnixStream| socket.try_clone().expect("a second handle");
    byte_streams(cores, (input(&ours), ours), (input(&theirs), theirs))
}

/// The partner sends back what it reads; a message whose first byte is 0 ends it.
fn byte_streams<R: Read + Send, W: Write + Send>(cores: Cores, ours: (R, W), theirs: (R, W)) -> u64 {
    let (mut input, mut output) = theirs;
    let partner = move |_: &Stop| {
        let mut message = [0; MESSAGE];
        loop {
            input.read_exact(&mut message).expect("reading what was sent");
            if message[0] == 0 {
                return;
            }
            output.write_all(&message).expect("sending it back");
        }
    };
    let (mut input, output) = ours;
    let output = std::cell::RefCell::new(output);
    let mut message = [7; MESSAGE];
    let operation = || {
        output.borrow_mut().write_all(&message).expect("sending");
        input.read_exact(&mut message).expect("reading the answer");
    };
    let end = || output.borrow_mut().write_all(&[0; MESSAGE]).expect("ending the partner");
    cores.sample(BURST, partner, operation, end)
}

/// Whose turn it is, in the futex's word.
const OURS: u32 = 0;
const THEIRS: u32 = 1;
const OVER: u32 = 2;

/// How long each side takes before it gives the turn, so that the other has fallen asleep: it is taken off again.
const THOUGHT: Duration = Duration::from_micros(5);

/// A turn given and got back through one futex word, each side asleep until it comes.
pub fn futex(cores: Cores) -> u64 {
    let both = 2 * THOUGHT.as_nanos() as u64 * 1000;
    turns(cores, THOUGHT).saturating_sub(both)
}

/// The same with sides that give the turn at once: who finds that it has come already does not sleep.
pub fn futex_awake(cores: Cores) -> u64 {
    turns(cores, Duration::ZERO)
}

fn turns(cores: Cores, thought: Duration) -> u64 {
    let word = &AtomicU32::new(OURS);
    let give = move |value| {
        let begin = Instant::now();
        while begin.elapsed() < thought {
            spin_loop();
        }
        word.store(value, Ordering::Release);
        wake(word);
    };
    let partner = move |_: &Stop| {
        while wait_while(word, OURS) != OVER {
            give(OURS);
        }
    };
    let operation = || {
        give(THEIRS);
        wait_while(word, THEIRS);
    };
    cores.sample(BURST, partner, operation, || give(OVER))
}

fn wake(word: &AtomicU32) {
    // SAFETY: the call reads no memory but the address of a word that is borrowed.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1) };
}

fn wait_while(word: &AtomicU32, value: u32) -> u32 {
    loop {
        let now = word.load(Ordering::Acquire);
        if now != value {
            return now;
        }
        let (wait, forever) =
            (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, core::ptr::null::<libc::timespec>());
        // SAFETY: the call reads the word, which is borrowed, and takes no time for a null pointer.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), wait, value, forever) };
    }
}
