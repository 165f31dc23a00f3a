//! All that can be seen without reading, against the model.

use http_body::Body;

use super::{memory, world::World};

impl World {
    pub(crate) fn check(&self) {
        let model = &self.model;
        for (handle, reader) in self.handles.iter().zip(&model.readers) {
            let hint = handle.body.size_hint();
            let expected = model.size_hint(reader);
            assert_eq!(
                (hint.lower(), hint.upper()),
                (expected.lower(), expected.upper())
            );
            assert_eq!(handle.body.is_end_stream(), model.is_end_stream(reader));
            let stranded = handle.is_asleep() && model.can_go_on(reader);
            assert!(!stranded, "a pending handle was not woken: {reader:?}");
        }
        assert_eq!(self.script.is_dropped(), model.is_source_dropped());
        let refused = self.rival.refused + u64::from(self.refused);
        assert_eq!(self.memory.refused(), refused);
        self.check_memory();
        let Some(replay) = &self.replay else { return };
        assert_eq!(replay.check(), model.check());
        assert_eq!(replay.has_source_failed(), model.has_source_failed());
        assert_eq!(replay.is_sent_in_full(), model.is_sent_in_full());
        assert_eq!(replay.bytes_held(), model.needed());
        assert!(model.needed() <= model.cap());
    }

    /// What the log of this body holds of the memory.
    pub(super) fn held(&self) -> usize {
        self.memory.held() - self.rival.held
    }

    fn check_memory(&self) {
        assert!(self.memory.held() <= self.memory.limit());
        let held = self.held();
        if self.model.needs_log() {
            let needed = self.model.needed();
            let most = memory::most_for_log(needed, self.model.frames_within(needed));
            assert!(held > 0 && (needed as usize..=most).contains(&held));
        } else {
            assert_eq!(held, 0);
        }
    }
}
