//! A demo fleet under watch: a member that hangs, without ending, is noticed, ended for certain and replaced under load.

use crate::charter::MARKS;
use crate::protocol::HangingClient;
use crate::show::{Show, text};
use alloc::string::String;
use core::time::Duration;
use fos_messages::rpc::Address;

/// How long the post may take that has a member hang.
const POST_WITHIN: Duration = Duration::from_secs(1);

impl Show {
    /// Has a member that does not coordinate never do anything again but use its core, and waits until another is in its place.
    pub async fn hang(&self) -> Result<(), String> {
        let coordinator = self.standing().await?.coordinator;
        let members = self.members().await?;
        let other = members.iter().find(|entry| entry.address.identity.0 != coordinator);
        self.hang_one(other.ok_or("the fleet has one member alone")?.address, "").await
    }

    /// The same with the member that coordinates.
    pub async fn hang_coordinator(&self) -> Result<(), String> {
        let coordinator = self.standing().await?.coordinator;
        let members = self.members().await?;
        let it = members.iter().find(|entry| entry.address.identity.0 == coordinator);
        self.hang_one(it.ok_or("the coordinator is not registered")?.address, ", which coordinated,").await
    }

    async fn hang_one(&self, victim: Address, which: &str) -> Result<(), String> {
        let hanging = HangingClient::new(self.process.runtime.within(POST_WITHIN), victim);
        hanging.hang().map_err(text)?;
        let number = victim.identity.0;
        (self.process.say)(format_args!("member {number}{which} hangs: it uses its core and does nothing"));
        self.wait_until("the member that hangs to be ended", async || {
            self.members().await.is_ok_and(|members| members.iter().all(|entry| entry.address != victim))
        })
        .await?;
        self.wait_for_members(MARKS.members_max, "it was replaced: the fleet has four members again").await?;
        self.stretch().await
    }
}
