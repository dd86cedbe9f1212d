//! What clients ask of a fleet that hands out handles, behind each of which stands a number that the client chose.

use alloc::rc::Rc;
use alloc::vec::Vec;
use fos_handles::{Handle, HandleError, Handles};
use fos_messages::rpc::wire::Scalar;
use fos_messages::rpc::{Context, Instead, interface};

/// Handles in one answer, at most.
pub const OUT_MAX: usize = 64;

/// Why a handle is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub enum HandingError {
    /// All are out.
    Exhausted,
    /// It is not out.
    Stale,
}

/// Handles.
#[interface(id = 0x7f54, version = 1)]
pub trait Handing {
    /// Hands one out for this.
    #[operation]
    async fn take(&self, value: u64) -> Result<u64, HandingError>;

    /// What stands behind one.
    #[operation(idempotent)]
    async fn get(&self, handle: u64) -> Result<u64, HandingError>;

    /// Takes one back. Answers what stood behind it.
    #[operation]
    async fn give_back(&self, handle: u64) -> Result<u64, HandingError>;

    /// Those that are out, at most [`OUT_MAX`].
    #[operation(idempotent, answer_max = 900)]
    async fn out(&self) -> Result<Vec<u64>, HandingError>;
}

/// A member's server.
pub struct Server(pub Rc<Handles<u64>>);

fn refusal(error: HandleError) -> Instead<HandingError> {
    match error {
        HandleError::Exhausted => HandingError::Exhausted.into(),
        HandleError::Stale => HandingError::Stale.into(),
        HandleError::NotServing | HandleError::Interrupted => Instead::NotNow,
    }
}

impl Handing for Server {
    async fn take(&self, _: Context, value: u64) -> Result<u64, Instead<HandingError>> {
        self.0.take(value).await.map(Handle::bits).map_err(refusal)
    }

    async fn get(&self, _: Context, handle: u64) -> Result<u64, Instead<HandingError>> {
        self.0.get(Handle::from_bits(handle)).await.map_err(refusal)
    }

    async fn give_back(&self, _: Context, handle: u64) -> Result<u64, Instead<HandingError>> {
        self.0.give_back(Handle::from_bits(handle)).await.map_err(refusal)
    }

    async fn out(&self, _: Context) -> Result<Vec<u64>, Instead<HandingError>> {
        let out = self.0.survey().await.map_err(refusal)?;
        Ok(out.into_iter().map(|(handle, _)| handle.bits()).take(OUT_MAX).collect())
    }
}
