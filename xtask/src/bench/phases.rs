//! What the phases of a run take, from the spans that kernels open: `target: "phase"`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use examples::Failure;
use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

/// Runs the phases are taken over.
const RUNS: u32 = 5;

/// Seconds of each phase, and of the whole run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phases {
    seconds: BTreeMap<&'static str, f64>,
    all: f64,
}

impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, seconds) in &self.seconds {
            write!(f, "{name} {:.4} ms, ", seconds * 1e3)?;
        }
        let rest = self.all - self.seconds.values().sum::<f64>();
        write!(f, "rest {:.4} ms, all {:.4} ms", rest * 1e3, self.all * 1e3)
    }
}

/// Adds up the time between a span's making and its end, by name.
#[derive(Clone, Default)]
struct Clock(Arc<Mutex<BTreeMap<&'static str, f64>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Clock {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let (true, Some(span)) = (attributes.metadata().target() == "phase", context.span(id)) {
            span.extensions_mut().insert(Instant::now());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(start) = span.extensions_mut().remove::<Instant>() else { return };
        let mut seconds = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        *seconds.entry(span.name()).or_default() += start.elapsed().as_secs_f64();
    }
}

/// The phases of `run`, the mean of a few runs.
///
/// # Errors
/// As `run`.
pub(crate) fn phases(mut run: impl FnMut() -> Result<(), Failure>) -> Result<Phases, Failure> {
    let clock = Clock::default();
    let subscriber = Registry::default().with(clock.clone());
    let start = Instant::now();
    tracing::subscriber::with_default(subscriber, || (0..RUNS).try_for_each(|_| run()))?;
    let mean = |seconds: f64| seconds / f64::from(RUNS);
    let seconds = clock.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let seconds = seconds.iter().map(|(name, seconds)| (*name, mean(*seconds))).collect();
    Ok(Phases { seconds, all: mean(start.elapsed().as_secs_f64()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn spans_of_phases_are_added_up_by_name() {
        let sleep = || std::thread::sleep(Duration::from_millis(2));
        let found = phases(|| {
            for _ in 0..2 {
                tracing::trace_span!(target: "phase", "product").in_scope(sleep);
            }
            tracing::trace_span!("other").in_scope(sleep);
            Ok(())
        });
        let found = found.unwrap();
        assert_eq!(found.seconds.keys().collect::<Vec<_>>(), [&"product"]);
        assert!(found.seconds["product"] >= 0.004 && found.all >= 0.006, "{found}");
    }
}
