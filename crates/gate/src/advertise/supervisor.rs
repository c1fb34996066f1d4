//! Decides who advertises: Avahi whenever it runs, the responder of our own otherwise.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use tokio::sync::oneshot;

use super::avahi::{self, Bus};
use super::patience::{Complaints, Pauses};
use super::reach::Reach;
use super::responder::Responder;
use super::service::Service;

/// How long Avahi may be away, as for a restart, before the responder takes its place.
const ABSENCE: Duration = Duration::from_secs(3);

pub(super) struct Supervisor {
    services: Vec<Service>,
    reach: Reach,
    responder: Option<Responder>,
    complaints: Complaints,
}

impl Supervisor {
    pub(super) fn new(services: Vec<Service>, reach: Reach) -> Supervisor {
        Supervisor {
            services,
            reach,
            responder: None,
            complaints: Complaints::default(),
        }
    }

    /// Advertises until the other end of `stopped` is dropped, and then withdraws.
    pub(super) async fn run(mut self, stopped: oneshot::Receiver<()>) {
        tokio::select! {
            // Avahi's part is withdrawn as the connection to the bus ends.
            _ = stopped => {}
            never = self.advertise() => match never {},
        }
        self.dismiss_responder().await;
    }

    async fn advertise(&mut self) -> Infallible {
        let mut pauses = Pauses::new();
        loop {
            let Err(error) = self.follow_avahi().await;
            if error.is_of_the_bus() {
                tracing::debug!(target: "discovery", "{error}");
                if self.responder.is_none() && matches!(error, avahi::Error::BusGone) {
                    // Avahi notices as well, and withdraws what the responder would collide with.
                    tokio::time::sleep(ABSENCE).await;
                }
                self.stand_in(pauses.pause()).await;
            } else {
                // Avahi runs and may have its reasons, so the responder does not act against it.
                self.complaints.warn(error.to_string());
                pauses.pause().await;
            }
        }
    }

    /// Advertises for as long as the bus is there and Avahi, if it runs, plays its part.
    async fn follow_avahi(&mut self) -> Result<Infallible, avahi::Error> {
        let mut bus = match &self.responder {
            // The first time nobody stands in.
            None => Bus::connect().await?,
            Some(_) => self.stand_in(Bus::connect()).await?,
        };
        let mut absence = Duration::ZERO;
        loop {
            if bus.has_avahi() {
                self.dismiss_responder().await;
                let connection = bus.connection();
                tokio::select! {
                    biased;
                    change = bus.change() => change?,
                    never = avahi::publish(connection, &self.services, &self.reach) => match never? {},
                }
                absence = ABSENCE;
            } else {
                let change = bus.change();
                tokio::pin!(change);
                match tokio::time::timeout(absence, &mut change).await {
                    Ok(change) => change?,
                    Err(_) => self.stand_in(change).await?,
                }
            }
        }
    }

    /// Has the responder advertise while something else is waited for. It stays afterwards.
    async fn stand_in<T>(&mut self, until: impl Future<Output = T>) -> T {
        tokio::select! {
            waited_for = until => waited_for,
            never = self.respond() => match never {},
        }
    }

    async fn respond(&mut self) -> Infallible {
        let mut pauses = Pauses::new();
        loop {
            let started = match self.responder.take() {
                Some(running) => Ok(running),
                None => Responder::start(&self.services, &self.reach).inspect(|_| {
                    tracing::info!(
                        "no Avahi is running, so the services are advertised without it"
                    );
                }),
            };
            let error = match started {
                Ok(responder) => {
                    let Err(error) = self.responder.insert(responder).watch().await;
                    error
                }
                Err(error) => error,
            };
            self.complaints.warn(error.to_string());
            self.dismiss_responder().await;
            pauses.pause().await;
        }
    }

    async fn dismiss_responder(&mut self) {
        if let Some(responder) = self.responder.take() {
            responder.end().await;
        }
    }
}
