//! An error-level log event is a bug, and fails the run in which it happens.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, NoSubscriber, Subscriber};
use tracing::{Dispatch, Event, Level, Metadata, level_filters::LevelFilter};

use crate::executor::lock;

/// Remembers the first error that was logged.
#[derive(Debug)]
pub(crate) struct Alarm {
    now: Arc<AtomicU64>,
    raised: AtomicBool,
    first: Mutex<Option<(Duration, String)>>,
}

impl Alarm {
    pub(crate) fn new(now: Arc<AtomicU64>) -> Self {
        Self {
            now,
            raised: AtomicBool::new(false),
            first: Mutex::new(None),
        }
    }

    /// The first error since the last call, and when it was logged.
    pub(crate) fn take(&self) -> Option<(Duration, String)> {
        if !self.raised.swap(false, Ordering::Relaxed) {
            return None;
        }
        lock(&self.first).take()
    }

    fn raise(&self, message: String) {
        let now = Duration::from_nanos(self.now.load(Ordering::Relaxed));
        lock(&self.first).get_or_insert((now, message));
        self.raised.store(true, Ordering::Relaxed);
    }
}

/// Listens for errors, and hands everything on to whoever has listened before.
pub(crate) struct Listener {
    alarm: Arc<Alarm>,
    next: Dispatch,
    /// Nobody has.
    alone: bool,
}

/// A subscriber for this thread, before the one that it has now.
pub(crate) fn listen(alarm: &Arc<Alarm>) -> Dispatch {
    let next = tracing::dispatcher::get_default(Dispatch::clone);
    let alone = next.is::<NoSubscriber>();
    Dispatch::new(Listener {
        alarm: Arc::clone(alarm),
        next,
        alone,
    })
}

impl Subscriber for Listener {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.alone && *metadata.level() != Level::ERROR {
            Interest::never()
        } else {
            Interest::sometimes()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        (*metadata.level() == Level::ERROR && metadata.is_event()) || self.next.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.alone.then_some(LevelFilter::ERROR)
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        if *metadata.level() == Level::ERROR {
            let mut text = Text(format!("{}:", metadata.target()));
            event.record(&mut text);
            self.alarm.raise(text.0);
        }
        if self.next.enabled(metadata) {
            self.next.event(event);
        }
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.next.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.next.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.next.record_follows_from(span, follows);
    }

    fn enter(&self, span: &Id) {
        self.next.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.next.exit(span);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.next.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.next.try_close(id)
    }
}

/// The fields of an event as text, the message first as it is recorded first.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        use std::fmt::Write;
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
