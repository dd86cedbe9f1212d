//! `key_revoke` beside other calls that are under way on the same mailbox: whatever the order of their
//! steps, nothing that was derived from a revoked key opens the mailbox afterwards.

use super::{derive_step, revoke_step};
use crate::cores::Core;
use crate::jobs::{Code, Job, Step};
use crate::mailbox::Mailbox;
use crate::objects::reference_to;
use crate::tests::machine;
use fos_abi::capability::Handle;
use fos_abi::key::{KeyRights, MailboxId};
use fos_abi::{Error, Key};
use proptest::prelude::*;

/// Keys of the table: three chunks and a bit more than the tests make.
const KEYS: usize = 256;

/// A call that is under way.
struct Call {
    job: &'static Job,
    code: Code,
    result: Option<Result<u64, Error>>,
}

impl Call {
    fn new(code: Code, mailbox: &'static Mailbox, first: u64, key: Key) -> Call {
        let thread = machine::thread(mailbox.space);
        let job = &thread.jobs[0];
        job.prepare(code);
        job.thread.set(thread);
        job.arguments[0].set(first);
        job.arguments[1].set(u64::from(KeyRights::ALL.0));
        job.answer(key);
        Call { job, code, result: None }
    }

    fn step(&mut self, here: &'static Core) {
        if self.result.is_none() {
            match (self.code)(self.job, here) {
                Step::Done(result) => self.result = Some(result),
                step => assert_eq!(step, Step::Again, "everything here is at home on one core"),
            }
        }
    }
}

/// Makes a key by hand at an entry of its own: `entry` chooses the chunk.
fn make(mailbox: &'static Mailbox, chunk: usize, parent: Option<&Key>, seed: u64) -> Key {
    let secret = [seed, !seed];
    let entry =
        mailbox.keys().create(chunk * 64, parent.map(|key| key.entry), KeyRights::ALL, 0, secret).unwrap();
    Key { mailbox: MailboxId(reference_to(mailbox).0), entry, machine: 0, secret }
}

fn opens(mailbox: &Mailbox, key: &Key) -> bool {
    mailbox.keys().check(u64::from(key.entry), key.secret).is_ok()
}

/// Steps the calls in the order of `turns`, then all to their ends.
fn run(calls: &mut [Call], turns: &[usize]) {
    let here = machine::here();
    for turn in turns {
        let count = calls.len();
        calls[turn % count].step(here);
    }
    for _ in 0..10_000 {
        calls.iter_mut().for_each(|call| call.step(here));
    }
    assert!(calls.iter().all(|call| call.result.is_some()), "a call never ended");
}

proptest! {
    #![proptest_config(machine::cases(256))]

    /// A chain of keys in random chunks; the owner revokes the first while the others are derived from
    /// and revoke each other.
    #[test]
    fn nothing_survives_the_owner(
        chunks in prop::collection::vec(0usize..4, 5),
        seed in 1u64..1 << 40,
        turns in prop::collection::vec(0usize..7, 0..120),
    ) {
        let mailbox = machine::mailbox(machine::space(0), 64, KEYS);
        let owner = machine::give_mailbox(mailbox);
        let mut chain = vec![make(mailbox, chunks[0], None, seed)];
        for (index, chunk) in chunks.iter().enumerate().skip(1) {
            let key = make(mailbox, *chunk, chain.last(), seed + index as u64);
            chain.push(key);
        }
        let none = u64::from(Handle::NONE.0);
        let mut calls: Vec<Call> =
            chain[1..].iter().flat_map(|key| [
                Call::new(derive_step, mailbox, 0, *key),
                Call::new(revoke_step, mailbox, none, *key),
            ]).take(6).collect();
        calls.push(Call::new(revoke_step, mailbox, owner, chain[0]));
        let bystander = make(mailbox, 2, None, seed + 100);
        run(&mut calls, &turns);
        prop_assert_eq!(calls[6].result, Some(Ok(0)));
        for (depth, key) in chain.iter().enumerate() {
            prop_assert!(!opens(mailbox, key), "key {} of the chain survived", depth);
        }
        for call in calls.iter().filter(|call| std::ptr::fn_addr_eq(call.code, derive_step as Code)) {
            if call.result == Some(Ok(0)) {
                prop_assert!(!opens(mailbox, &call.job.input::<Key>()), "a derived key survived");
            }
        }
        prop_assert!(opens(mailbox, &bystander), "an unrelated key was revoked");
    }
}

#[test]
fn revoking_by_a_key_spares_that_key() {
    let mailbox = machine::mailbox(machine::space(0), 64, KEYS);
    let root = make(mailbox, 1, None, 1);
    let child = make(mailbox, 0, Some(&root), 2);
    run(&mut [Call::new(revoke_step, mailbox, u64::from(Handle::NONE.0), root)], &[]);
    assert!(opens(mailbox, &root) && !opens(mailbox, &child));
    let mut again = [Call::new(derive_step, mailbox, 0, root)];
    run(&mut again, &[]);
    assert!(opens(mailbox, &again[0].job.input::<Key>()), "the spared key derives again");
}

#[test]
fn a_key_that_was_revoked_revokes_nothing() {
    let mailbox = machine::mailbox(machine::space(0), 64, KEYS);
    let old = make(mailbox, 0, None, 1);
    let owner = machine::give_mailbox(mailbox);
    let mut late = [Call::new(revoke_step, mailbox, owner, old)];
    run(&mut [Call::new(revoke_step, mailbox, owner, old)], &[]);
    let new = make(mailbox, 0, None, 2);
    assert_eq!(old.entry, new.entry);
    run(&mut late, &[]);
    assert_eq!(late[0].result, Some(Err(Error::BadKey)));
    assert!(opens(mailbox, &new));
}
