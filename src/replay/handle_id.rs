use super::{readers::ReaderId, shared::Shared, sync::Arc};

/// Names one handle of one [`Replay`](super::Replay), for as long as that lives.
///
/// The handles on bodies that were empty from the start have one id in common: there is nothing to
/// revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HandleId(Option<Id>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Id {
    /// Where in memory the body is that its handles share.
    body: usize,
    reader: ReaderId,
}

impl HandleId {
    pub(super) const EMPTY: Self = Self(None);

    pub(super) fn new<B>(shared: &Arc<Shared<B>>, reader: ReaderId) -> Self {
        let body = Arc::as_ptr(shared).addr();
        Self(Some(Id { body, reader }))
    }

    /// The reader that is meant, if it is one of this body.
    pub(super) fn reader_of<B>(self, shared: &Arc<Shared<B>>) -> Option<ReaderId> {
        let id = self.0?;
        (id.body == Arc::as_ptr(shared).addr()).then_some(id.reader)
    }
}
