//! Two processes that answer each other through pipes or sockets, on one CPU or on two.
//!
//! Both sides sleep in `read` until the other has written, as programs do: the default policy, no real-time priorities.

use crate::clock::{Effort, median, timed};
use crate::process::{Child, pin};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use syscalls::{Sysno, raw_syscall};

/// Bytes of a message: a fos message's 64, so that both systems copy the same.
const MESSAGE: usize = 64;
/// First byte of the message that ends the partner.
const OVER: u8 = 0;

/// Ticks of a round trip through two pipes with a partner on `cpu`.
pub fn pipes(effort: Effort, cpu: usize) -> u64 {
    let (their_input, our_output) = std::io::pipe().expect("a pipe to the partner");
    let (our_input, their_output) = std::io::pipe().expect("a pipe from the partner");
    let theirs = Ends { input: their_input.as_fd(), output: their_output.as_fd() };
    round_trips(effort, cpu, Ends { input: our_input.as_fd(), output: our_output.as_fd() }, theirs)
}

/// Ticks of a round trip through a pair of AF_UNIX stream sockets with a partner on `cpu`.
pub fn unix_sockets(effort: Effort, cpu: usize) -> u64 {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let both = |socket| Ends { input: socket, output: socket };
    round_trips(effort, cpu, both(ours.as_fd()), both(theirs.as_fd()))
}

/// What a process reads from and writes to.
#[derive(Clone, Copy)]
struct Ends<'a> {
    input: BorrowedFd<'a>,
    output: BorrowedFd<'a>,
}

fn round_trips(effort: Effort, cpu: usize, ours: Ends<'_>, theirs: Ends<'_>) -> u64 {
    let mut message = [7u8; MESSAGE];
    let partner = Child::start(|| {
        pin(cpu);
        let mut message = [0u8; MESSAGE];
        loop {
            theirs.receive(&mut message);
            if message[0] == OVER {
                break;
            }
            theirs.send(&message);
        }
    });
    let ticks = median(effort, || {
        let round_trip = || {
            ours.send(&message);
            ours.receive(&mut message);
        };
        Some(timed(round_trip).0)
    });
    ours.send(&[OVER; MESSAGE]);
    partner.join();
    ticks
}

impl Ends<'_> {
    #[inline(always)]
    fn send(self, message: &[u8; MESSAGE]) {
        let output = self.output.as_raw_fd();
        // SAFETY: the kernel reads the borrowed message and nothing else.
        let sent = unsafe { raw_syscall!(Sysno::write, output, message.as_ptr(), MESSAGE) };
        assert_eq!(sent, MESSAGE, "writing to the partner");
    }

    #[inline(always)]
    fn receive(self, message: &mut [u8; MESSAGE]) {
        let input = self.input.as_raw_fd();
        // SAFETY: the kernel writes at most the length of the exclusively borrowed message.
        let received = unsafe { raw_syscall!(Sysno::read, input, message.as_mut_ptr(), MESSAGE) };
        assert_eq!(received, MESSAGE, "reading from the partner");
    }
}
