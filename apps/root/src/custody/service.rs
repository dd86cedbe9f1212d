//! The custodian as members of `pages` ask it. Whoever has ended is not listened to any more: what its last message would bring
//! it has nobody to keep it.

use super::{Custodian, Hands};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use fos_messages::custody::{Account, Custody, Given, RANGES_MAX, Range, Refusal, Returned, Row, Totals};
use fos_messages::rpc::{Address, Context, Instead, Never};

/// A custodian that is asked.
#[derive(Debug)]
pub struct Service<H: Hands>(pub Rc<RefCell<Custodian<H>>>);

impl<H: Hands> Service<H> {
    /// Does something for a member that runs.
    fn during<T, E>(
        &self,
        context: Context,
        work: impl FnOnce(&mut Custodian<H>, u64) -> Result<T, E>,
    ) -> Result<T, Instead<E>> {
        let (mut custodian, member) = (self.0.borrow_mut(), context.sender.0);
        if !custodian.hands.is_running(member) {
            return Err(Instead::NotNow);
        }
        Ok(work(&mut custodian, member)?)
    }
}

impl<H: Hands> Custody for Service<H> {
    fn totals(&self, _: Context) -> Result<Totals, Instead<Never>> {
        Ok(self.0.borrow().totals())
    }

    fn table(&self, _: Context, from: u64) -> Result<Vec<Row>, Instead<Never>> {
        Ok(self.0.borrow().rows(from).take(RANGES_MAX).collect())
    }

    fn block(&self, context: Context, order: u8) -> Result<Vec<Row>, Instead<Never>> {
        Ok(self.0.borrow().block(context.sender.0, order))
    }

    fn has_blocks(&self, _: Context, frames: u64, order: u8) -> Result<bool, Instead<Never>> {
        Ok(self.0.borrow().has_blocks(frames, order))
    }

    fn account(&self, _: Context, process: u64) -> Result<Account, Instead<Never>> {
        Ok(self.0.borrow().account(process))
    }

    fn subscribe(&self, context: Context, news: Address) -> Result<(), Instead<Refusal>> {
        self.during(context, |custodian, member| {
            custodian.subscribe(member, news);
            Ok(())
        })
    }

    fn adopt(&self, context: Context) -> Result<Vec<Row>, Instead<Never>> {
        self.during(context, |custodian, member| Ok(custodian.adopt(member)))
    }

    fn give(
        &self,
        context: Context,
        process: u64,
        tag: u64,
        ranges: Vec<Range>,
        limit: u64,
    ) -> Result<Given, Instead<Refusal>> {
        self.during(context, |custodian, member| custodian.give(member, (process, tag), &ranges, limit))
    }

    fn hand_over(&self, context: Context, keeper: u64, ranges: Vec<Range>) -> Result<(), Instead<Refusal>> {
        self.during(context, |custodian, member| custodian.hand_over(member, keeper, &ranges))
    }

    fn take_home(
        &self,
        context: Context,
        process: u64,
        firsts: Vec<u64>,
        by_force: bool,
        is_clean: bool,
    ) -> Result<Returned, Instead<Refusal>> {
        self.during(context, |custodian, member| {
            custodian.take_home(member, process, &firsts, by_force, is_clean)
        })
    }

    fn release(&self, context: Context) -> Result<(), Instead<Never>> {
        self.during(context, |custodian, member| {
            custodian.release(member);
            Ok(())
        })
    }

    fn set_limit(&self, context: Context, process: u64, frames: u64) -> Result<(), Instead<Refusal>> {
        self.during(context, |custodian, _| custodian.set_limit(process, frames))
    }
}
