use std::{
    sync::Arc,
    task::{Context, Wake, Waker},
};

use super::{few::Few, log::Cursor};

/// The handles that are neither revoked nor dropped.
#[derive(Default)]
pub(super) struct Readers {
    readers: Few<Reader>,
    last: u64,
}

/// Names one handle among those of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ReaderId(u64);

/// One handle's place in the body.
pub(super) struct Reader {
    pub(super) id: ReaderId,
    pub(super) at: Cursor,
    /// Payload bytes read so far.
    pub(super) read: u64,
    /// Whether it has read all that there is; transports drop it then.
    pub(super) sent: bool,
    /// Whom to wake; it is kept for the next wait.
    waker: Option<Waker>,
}

impl Readers {
    /// Adds a reader that stands at the beginning.
    pub(super) fn add(&mut self) -> ReaderId {
        self.last += 1;
        let id = ReaderId(self.last);
        self.readers.push(Reader {
            id,
            at: Cursor::default(),
            read: 0,
            sent: false,
            waker: None,
        });
        id
    }

    pub(super) fn get(&self, id: ReaderId) -> Option<&Reader> {
        self.readers.iter().find(|reader| reader.id == id)
    }

    pub(super) fn get_mut(&mut self, id: ReaderId) -> Option<&mut Reader> {
        self.readers.iter_mut().find(|reader| reader.id == id)
    }

    /// Removes a reader, and returns it if it was there.
    pub(super) fn remove(&mut self, id: ReaderId) -> Option<Reader> {
        self.readers.remove(|reader| reader.id == id)
    }

    /// Removes one of the others, and returns it if there was one.
    pub(super) fn remove_beside(&mut self, id: ReaderId) -> Option<Reader> {
        self.readers.remove(|reader| reader.id != id)
    }

    pub(super) fn clear(&mut self) {
        self.readers.clear();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Reader> {
        self.readers.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Reader> {
        self.readers.iter_mut()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.readers.is_empty()
    }

    /// Whether somebody reads beside the one that asks.
    pub(super) fn has_several(&self) -> bool {
        self.readers.has_several()
    }

    /// Takes the wakers of all that wait.
    pub(super) fn wakers(&mut self) -> impl Iterator<Item = Waker> {
        self.iter_mut().filter_map(|reader| reader.waker.take())
    }

    /// Takes the wakers of all that wait but one.
    pub(super) fn wakers_beside(&mut self, id: ReaderId) -> impl Iterator<Item = Waker> {
        let others = self.iter_mut().filter(move |reader| reader.id != id);
        others.filter_map(|reader| reader.waker.take())
    }

    /// A waker of all that wait and of the one that polls: the one that polled the source last may
    /// not come back to it.
    pub(super) fn everyone(&self, polling: ReaderId, cx: &Context<'_>) -> Waker {
        let others = self.iter().filter(|reader| reader.id != polling);
        let waiting = others.filter_map(|reader| reader.waker.clone());
        let all = waiting.chain([cx.waker().clone()]);
        Arc::new(Everyone(all.collect())).into()
    }
}

impl Reader {
    /// Remembers whom to wake, and returns whom it took the place of.
    pub(super) fn wait(&mut self, cx: &Context<'_>) -> Option<Waker> {
        match &self.waker {
            Some(known) if known.will_wake(cx.waker()) => None,
            _ => self.waker.replace(cx.waker().clone()),
        }
    }

    pub(super) fn into_waker(self) -> Option<Waker> {
        self.waker
    }
}

struct Everyone(Vec<Waker>);

impl Wake for Everyone {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.iter().for_each(Waker::wake_by_ref);
    }
}
