//! Between tracing and the outputs: what is in force now, and who gets a message.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tracing::callsite::rebuild_interest_cache;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::line::{Line, category};
use super::{Filters, Outputs, Priority};

/// What is in force. Nothing is logged while it is held for a change.
#[derive(Debug)]
pub(super) struct Shared(RwLock<State>);

#[derive(Debug)]
struct State {
    level: Priority,
    filters: Filters,
    outputs: Outputs,
}

impl State {
    /// The priority that messages of a category need.
    fn needed(&self, category: &str) -> Priority {
        self.filters.priority(category).unwrap_or(self.level)
    }

    /// The least that any message needs.
    fn least(&self) -> Option<Priority> {
        let wanted = self.filters.least().unwrap_or(self.level).min(self.level);
        self.outputs.least().map(|least| least.max(wanted))
    }
}

impl Shared {
    pub(super) fn new(level: Priority, filters: Filters, outputs: Outputs) -> Shared {
        Shared(RwLock::new(State {
            level,
            filters,
            outputs,
        }))
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state. tracing remembers what is wanted, and asks again then.
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.write());
        rebuild_interest_cache();
    }

    pub(super) fn set_level(&self, level: Priority) {
        self.change(|state| state.level = level);
    }

    pub(super) fn set_filters(&self, filters: Filters) {
        self.change(|state| state.filters = filters);
    }

    pub(super) fn set_outputs(&self, outputs: Outputs) {
        self.change(|state| state.outputs = outputs);
    }

    pub(super) fn level(&self) -> Priority {
        self.read().level
    }

    pub(super) fn filters(&self) -> String {
        self.read().filters.describe()
    }

    pub(super) fn outputs(&self) -> String {
        self.read().outputs.describe()
    }

    pub(super) fn uses_stderr(&self) -> bool {
        self.read().outputs.uses_stderr()
    }

    pub(super) fn reopen(&self) -> Result<(), String> {
        self.write().outputs.reopen()
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let Some(priority) = Priority::of(*metadata.level()) else {
            return false;
        };
        let state = self.read();
        let for_some = state.outputs.least().is_some_and(|least| priority >= least);
        for_some && priority >= state.needed(&category(metadata))
    }
}

/// Takes the messages of the process.
#[derive(Debug)]
pub(super) struct Distributor(Arc<Shared>);

impl Distributor {
    pub(super) fn new(shared: Arc<Shared>) -> Distributor {
        Distributor(shared)
    }
}

impl<S: Subscriber> Layer<S> for Distributor {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.0.wants(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.0.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let least = self.0.read().least();
        Some(least.map_or(LevelFilter::OFF, Priority::level_filter))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let Some(priority) = Priority::of(*metadata.level()) else {
            return;
        };
        let category = category(metadata);
        let line = Line::of(event, priority, &category);
        self.0.read().outputs.send(&line);
    }
}
