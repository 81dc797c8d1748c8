//! Encryption: Node's `tls` options turned into rustls's configuration.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};

use super::verifier::Verifier;
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
            .map_err(|error| invalid("minVersion", error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(self.verifier(provider)?));
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

    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Verifier> {
        if self.accept_any {
            return Ok(Verifier::of_anybody(&provider));
        }
        let mut given = Vec::new();
        for ca in &self.ca {
            given.extend(certificates("ca", ca)?);
        }
        let mut roots = RootCertStore::empty();
        if given.is_empty() {
            // A platform without readable roots trusts nobody, which the handshake then says.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            for file in &self.extra_ca {
                let extra = CertificateDer::pem_file_iter(file).into_iter().flatten().flatten();
                roots.add_parsable_certificates(extra);
            }
        }
        for certificate in &given {
            roots.add(certificate.clone()).map_err(|error| invalid("ca", error))?;
        }
        let by_authority =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| invalid("ca", error))?;
        Ok(Verifier::of_authorities(&provider, by_authority, given))
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
