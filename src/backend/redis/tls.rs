//! Encryption: Node's `tls` options turned into rustls's configuration.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion,
    version,
};

use crate::error::{Error, Result};

/// The options of Node's `tls.connect` that are honoured; the facade refuses the others.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct TlsSettings {
    /// PEM texts of the authorities to trust in place of the platform's.
    pub ca: Vec<String>,
    /// PEM files of authorities to trust besides the platform's (`NODE_EXTRA_CA_CERTS`).
    pub extra_ca: Vec<String>,
    /// PEM text of our certificate and those that lead to its authority.
    pub cert: Option<String>,
    /// PEM text of the private key of `cert`.
    pub key: Option<String>,
    /// The name the server must prove, where it is not the host's.
    pub servername: Option<String>,
    /// Accept whatever the server shows.
    pub accept_any: bool,
    /// The lowest version of TLS to speak.
    pub min_version: Option<Version>,
    /// The highest version of TLS to speak.
    pub max_version: Option<Version>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings").field("servername", &self.servername).finish_non_exhaustive()
    }
}

impl TlsSettings {
    /// The configuration of a client; an error names the option that cannot be used.
    pub fn client_config(&self) -> Result<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.versions()?)
            .map_err(|error| invalid("minVersion", error))?;
        let builder = if self.accept_any {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        match (&self.cert, &self.key) {
            (None, None) => Ok(builder.with_no_client_auth()),
            (Some(cert), Some(key)) => {
                let chain = certificates("cert", cert)?;
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
                    .map_err(|error| invalid("key", error))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| invalid("cert", error))
            }
            _ => Err(invalid("cert", "`cert` and `key` belong together, one of them is missing")),
        }
    }

    fn versions(&self) -> Result<Vec<&'static SupportedProtocolVersion>> {
        let (min, max) = (self.min_version, self.max_version);
        let versions: Vec<_> =
            [(Version::Tls13, &version::TLS13), (Version::Tls12, &version::TLS12)]
                .into_iter()
                .filter(|(version, _)| min.is_none_or(|min| *version >= min))
                .filter(|(version, _)| max.is_none_or(|max| *version <= max))
                .map(|(_, supported)| supported)
                .collect();
        match versions.is_empty() {
            true => Err(invalid("minVersion", "it is above `maxVersion`")),
            false => Ok(versions),
        }
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        if self.ca.is_empty() {
            // A platform without readable roots trusts nobody, which the handshake then says.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            for file in &self.extra_ca {
                let extra = CertificateDer::pem_file_iter(file).into_iter().flatten().flatten();
                roots.add_parsable_certificates(extra);
            }
        }
        for ca in &self.ca {
            for certificate in certificates("ca", ca)? {
                roots.add(certificate).map_err(|error| invalid("ca", error))?;
            }
        }
        Ok(roots)
    }
}

fn certificates(option: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let all: std::result::Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(invalid(option, "it holds no PEM certificate")),
        Err(error) => Err(invalid(option, error)),
    }
}

fn invalid(option: &str, reason: impl fmt::Display) -> Error {
    Error::Settings(format!("the TLS option `{option}` cannot be used: {reason}"))
}

/// `rejectUnauthorized: false`: the caller wants encryption without proof of who answers.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(settings: TlsSettings) -> String {
        settings.client_config().expect_err("it was accepted").to_string()
    }

    #[test]
    fn an_option_that_cannot_be_used_is_named() {
        let ca = TlsSettings { ca: vec!["no certificate".into()], ..Default::default() };
        let cert = TlsSettings { cert: Some(String::new()), ..Default::default() };
        let versions = TlsSettings {
            min_version: Some(Version::Tls13),
            max_version: Some(Version::Tls12),
            ..Default::default()
        };

        assert_eq!(
            [refusal(ca), refusal(cert), refusal(versions)],
            [
                "the TLS option `ca` cannot be used: it holds no PEM certificate",
                "the TLS option `cert` cannot be used: `cert` and `key` belong together, one of them is missing",
                "the TLS option `minVersion` cannot be used: it is above `maxVersion`",
            ]
        );
    }
}
