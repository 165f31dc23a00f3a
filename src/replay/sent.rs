use super::HandleId;

/// The handles that have read all that there is, until they are revoked; transports drop them then.
///
/// There is one, unless attempts are hedged: it has its place without an allocation.
#[derive(Default)]
pub(super) struct Sent {
    first: Option<HandleId>,
    more: Vec<HandleId>,
}

impl Sent {
    pub(super) fn add(&mut self, id: HandleId) {
        let first = *self.first.get_or_insert(id);
        if first != id && !self.more.contains(&id) {
            self.more.push(id);
        }
    }

    pub(super) fn remove(&mut self, id: HandleId) {
        self.more.retain(|sent| *sent != id);
        if self.first == Some(id) {
            self.first = self.more.pop();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}
