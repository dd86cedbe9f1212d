//! How a member goes and leaves nothing behind: it says so, hands everything on, sends back what still comes, and has left when
//! everybody has confirmed that nothing more will come, and what it handed on was taken. When nobody stays to whom it could hand
//! on, it goes with what it has, like one that ends: the owner's record has it.

use crate::fault::Fault;
use crate::limits::PART;
use crate::share::{Buddy, Doing, Standing};
use crate::{Block, Body};
use alloc::vec::Vec;
use fos_container::{Effect, Member};

impl Buddy {
    /// Tells everybody who does not know it yet.
    pub(crate) fn say_leaving(&mut self, effects: &mut Doing) {
        if !matches!(self.standing, Standing::Leaving | Standing::Left) {
            return;
        }
        let untold = self.peers.iter().filter(|(_, peer)| !peer.has_heard).map(|(member, _)| *member);
        let untold: Vec<Member> = untold.collect();
        untold.into_iter().for_each(|member| self.send(member, Body::Leaving, effects));
    }

    pub(crate) fn other_leaves(&mut self, from: Member, effects: &mut Doing) {
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.is_leaving = true;
        }
        self.send(from, Body::Heard, effects);
    }

    pub(crate) fn heard_leaving(&mut self, from: Member) {
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.has_heard = true;
        }
    }

    /// Hands on as much as may be under way, and looks whether it is done.
    pub(crate) fn hand_on(&mut self, effects: &mut Doing) {
        while self.store.frames() > 0 {
            let Some(heir) = self.heir() else { break };
            let blocks: Vec<Block> = self.store.blocks().take(PART).collect();
            blocks.iter().for_each(|block| _ = self.store.take_exactly(*block));
            self.transfer(heir, blocks, false, effects);
        }
        let nobody_stays = !self.peers.values().any(|peer| peer.takes_part());
        let is_confirmed = self.peers.values().all(|peer| peer.departing.is_empty());
        let is_known = self.peers.values().all(|peer| peer.has_heard && !peer.is_dead);
        let may_go = (self.store.frames() == 0 || nobody_stays)
            && (is_confirmed || self.faults.has(Fault::LeavesUnconfirmed))
            && (is_known || self.faults.has(Fault::LeavesUnheard))
            && !self.recovery.is_pending;
        if may_go {
            self.standing = Standing::Left;
            effects.push(Effect::Left);
        }
    }

    /// Who gets the next blocks: who has least as far as is known.
    fn heir(&self) -> Option<Member> {
        let open = self.peers.iter().filter(|(member, _)| self.has_room_for(**member));
        open.min_by_key(|(_, peer)| peer.header.frames).map(|(member, _)| *member)
    }
}
