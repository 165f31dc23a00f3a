/// A few things, of which there is nearly always one: it has its place without an allocation.
pub(super) struct Few<T> {
    first: Option<T>,
    /// Empty while there is no first.
    more: Vec<T>,
}

impl<T> Few<T> {
    pub(super) fn push(&mut self, item: T) {
        match &self.first {
            None => self.first = Some(item),
            Some(_) => self.more.push(item),
        }
    }

    /// Removes the one that fits, and returns it.
    pub(super) fn remove(&mut self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let first = self.first.take_if(|item| fits(item));
        if first.is_some() {
            self.first = self.more.pop();
            return first;
        }
        let place = self.more.iter().position(fits)?;
        Some(self.more.swap_remove(place))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.more)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.first.iter_mut().chain(&mut self.more)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn has_several(&self) -> bool {
        !self.more.is_empty()
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self {
            first: None,
            more: Vec::new(),
        }
    }
}
