//! A connection on its way from the tokio thread, which opened it, to the thread that uses it.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;

use super::transport::Plain;

#[cfg(unix)]
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd as Descriptor};
#[cfg(windows)]
use std::os::windows::io::{IntoRawSocket, OwnedSocket as Descriptor};

/// A connection in two descriptors: one for whoever reads, which may close it and let the system
/// use its number again, and one for Rust, which therefore never writes to anything else.
#[derive(Debug)]
pub struct Handover {
    reader: Descriptor,
    socket: Socket,
}

/// What waits until a socket takes more bytes.
pub type Writable = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// The side of a connection that Rust writes to, without ever blocking.
///
/// What the standard library calls a TCP stream does for a unix socket all that is used here.
#[derive(Debug)]
pub struct Socket(TcpStream);

impl Handover {
    /// Takes a stream from the tokio thread.
    pub fn of(stream: Plain) -> io::Result<Self> {
        let descriptor: Descriptor = match stream {
            Plain::Tcp(stream) => stream.into_std()?.into(),
            #[cfg(unix)]
            Plain::Unix(stream) => stream.into_std()?.into(),
        };
        Ok(Handover { reader: descriptor.try_clone()?, socket: descriptor.into() })
    }

    /// The number of the reader's descriptor, which the caller has to close, and the other side.
    pub fn split(self) -> (i32, Socket) {
        #[cfg(unix)]
        let number = self.reader.into_raw_fd();
        #[cfg(windows)]
        let number = self.reader.into_raw_socket() as i32;
        (number, self.socket)
    }
}

impl From<Descriptor> for Socket {
    fn from(descriptor: Descriptor) -> Self {
        Socket(TcpStream::from(descriptor))
    }
}

impl Socket {
    /// Writes what the system takes now, and says how much that is.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() {
            match (&self.0).write(&bytes[taken..]) {
                Ok(0) => break,
                Ok(count) => taken += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Waits, on the tokio thread, until the system takes more.
    pub fn writable(&self) -> io::Result<Writable> {
        // Only while it is waited for: the tokio thread is not to wake for each reply.
        let stream = tokio::net::TcpStream::from_std(self.0.try_clone()?)?;
        Ok(Box::pin(async move { stream.writable().await }))
    }

    /// Whether the other side has closed the connection, as far as the system knows.
    pub fn is_closed(&self) -> bool {
        match self.0.peek(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Makes that what the network has not taken yet goes nowhere once all descriptors are closed, as
    /// [`Stream::forget_unsent`](super::transport::Stream::forget_unsent) does.
    pub fn forget_unsent(&self) {
        #[cfg(unix)]
        {
            let linger = libc::linger { l_onoff: 1, l_linger: 0 };
            // SAFETY: the descriptor is open, and the option is of the size it says.
            let _ = unsafe {
                libc::setsockopt(
                    self.0.as_raw_fd(),
                    libc::SOL_SOCKET,
                    libc::SO_LINGER,
                    (&raw const linger).cast(),
                    size_of::<libc::linger>() as libc::socklen_t,
                )
            };
        }
    }

    /// Ends the connection, for all who have a descriptor of it.
    pub fn shut_down(&self) {
        // One that ended already is no trouble.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
