//! The byte stream under a connection: TCP, a unix socket, or TLS over TCP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::settings::{Endpoint, Family};
use super::tls::TlsSettings;
use crate::error::{Cause, Error, Result};

/// A stream of bytes to and from a server.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Makes that what the network has not taken yet goes nowhere once this is dropped. Otherwise the
    /// system goes on trying, and a server may carry it out minutes later.
    fn forget_unsent(&self) {}
}

impl Stream for TcpStream {
    fn forget_unsent(&self) {
        // One that has ended already has forgotten it.
        let _ = self.set_zero_linger();
    }
}

impl Stream for TlsStream<TcpStream> {
    fn forget_unsent(&self) {
        self.get_ref().0.forget_unsent();
    }
}

#[cfg(unix)]
impl Stream for tokio::net::UnixStream {}

/// A stream that is not encrypted.
#[derive(Debug)]
pub enum Plain {
    /// Over the network.
    Tcp(TcpStream),
    /// Within this machine.
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

impl Plain {
    /// Opens the stream to `endpoint`, save for its encryption.
    pub async fn open(endpoint: &Endpoint) -> Result<Self> {
        let opened = match endpoint {
            Endpoint::Tcp { host, port, family } => open_tcp(host, *port, *family).await,
            Endpoint::Unix(path) => open_unix(path).await,
        };
        opened.map_err(unreachable(endpoint))
    }
}

/// What encrypts a stream.
#[derive(Debug, Clone)]
pub struct Encryption {
    config: Arc<ClientConfig>,
    servername: Option<String>,
}

impl Encryption {
    /// As `settings` say, if they say anything; an error names the option that cannot be used.
    pub fn new(settings: Option<&TlsSettings>) -> Result<Option<Self>> {
        let Some(settings) = settings else { return Ok(None) };
        let config = Arc::new(settings.client_config()?);
        Ok(Some(Encryption { config, servername: settings.servername.clone() }))
    }
}

/// Opens the stream to `endpoint`, encrypted where that is wanted.
pub async fn open(endpoint: &Endpoint, encryption: Option<&Encryption>) -> Result<Box<dyn Stream>> {
    let (stream, encryption) = match (Plain::open(endpoint).await?, encryption) {
        (Plain::Tcp(stream), Some(encryption)) => (stream, encryption),
        (Plain::Tcp(stream), None) => return Ok(Box::new(stream)),
        #[cfg(unix)]
        (Plain::Unix(stream), _) => return Ok(Box::new(stream)),
    };
    let host = match endpoint {
        Endpoint::Tcp { host, .. } => host,
        Endpoint::Unix(_) => "",
    };
    let name = encryption.servername.as_deref().unwrap_or(host);
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| Error::Settings(format!("`servername` is no name of a host: {name:?}")))?;
    match TlsConnector::from(encryption.config.clone()).connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(refused_or_lost(endpoint, &error)),
    }
}

async fn open_tcp(host: &str, port: u16, family: Option<Family>) -> io::Result<Plain> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for address in lookup_host((host, port)).await? {
        if !is_of(family, &address) {
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(Plain::Tcp(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(unix)]
async fn open_unix(path: &std::path::Path) -> io::Result<Plain> {
    Ok(Plain::Unix(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(not(unix))]
async fn open_unix(_: &std::path::Path) -> io::Result<Plain> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "there are no unix sockets on this platform"))
}

fn is_of(family: Option<Family>, address: &SocketAddr) -> bool {
    match family {
        None => true,
        Some(Family::V4) => address.is_ipv4(),
        Some(Family::V6) => address.is_ipv6(),
    }
}

fn unreachable(endpoint: &Endpoint) -> impl Fn(io::Error) -> Error + '_ {
    move |error| {
        let cause = Cause::from(&error);
        let message = format!("{endpoint}: {}", cause.message);
        Error::Unreachable(Cause { message, ..cause })
    }
}

/// A handshake that TLS itself refused is final; one that the network broke is not.
fn refused_or_lost(endpoint: &Endpoint, error: &io::Error) -> Error {
    match refusal(error) {
        Some(refusal) => refused(&format!("{endpoint}: {refusal}"), refusal),
        None => unreachable(endpoint)(io::Error::new(error.kind(), error.to_string())),
    }
}

/// The error when a stream that was opened fails. With TLS 1.3 a server says only then that it does
/// not accept our certificate.
pub fn lost(error: &io::Error) -> Error {
    match refusal(error) {
        Some(refusal) => refused(&refusal.to_string(), refusal),
        None => Error::Unreachable(Cause::from(error)),
    }
}

fn refusal(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn refused(message: &str, refusal: &rustls::Error) -> Error {
    let cause = Cause::new(message);
    match refusal {
        rustls::Error::AlertReceived(_) => Error::Refused(cause),
        _ => Error::Untrusted(cause),
    }
}
