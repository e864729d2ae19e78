//! One-time codes (RFC 6238): HMAC-SHA-1, 6 digits, 30 seconds, as every authenticator app does them.

use lobar_core::accounts::TotpSecret;
use lobar_core::time::Stamp;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use totp_rs::{Algorithm, Builder, Totp};

/// Seconds of a step.
pub const STEP: u64 = 30;

/// Steps before and after the present one whose codes are taken too, for clocks that differ (RFC 6238, section 5.2).
pub const WINDOW: u16 = 1;

/// What an app shows as the issuer.
const ISSUER: &str = "Lobar";

/// A new secret: 160 bits (RFC 4226, section 4).
///
/// # Panics
/// When the operating system has no random bytes to give.
pub fn random() -> TotpSecret {
    let mut bits = vec![0; 20];
    OsRng.try_fill_bytes(&mut bits).expect("the operating system gives random bytes");
    TotpSecret(bits)
}

/// A secret as people type it into an app: base32 without padding (RFC 4648, section 6).
pub fn text(secret: &TotpSecret) -> String {
    totp_rs::Secret::from(secret.0.clone()).to_base32()
}

/// Reads what [`text`] wrote, in either case and with spaces; `None` for anything else.
pub fn parse(text: &str) -> Option<TotpSecret> {
    let text: String = text.chars().filter(|c| *c != ' ').take(65).collect();
    let secret = totp_rs::Secret::try_from_base32(text.to_ascii_uppercase()).ok()?;
    Some(TotpSecret(secret.as_bytes().to_vec()))
}

/// The `otpauth://` URI that an app reads from a QR code. It holds the secret.
///
/// # Errors
/// When the secret has less than 128 bits.
pub fn uri(secret: &TotpSecret, name: &str) -> Result<String, &'static str> {
    // A colon parts the issuer from the name in the URI.
    let codes = codes(secret, &name.replace(':', " ")).ok_or("the secret is too short")?;
    codes.to_url().map_err(|_| "the account has no name")
}

/// The step that a code belongs to. Whoever takes the code must refuse this step and those before it from then on.
/// `None` for a wrong code, and for a secret of less than 128 bits.
pub fn step_of(secret: &TotpSecret, code: &str, now: Stamp) -> Option<i64> {
    // Apps show two groups of three digits.
    let code: String = code.chars().filter(|c| *c != ' ').take(7).collect();
    if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = u64::try_from(now.0).ok()? / 1_000_000;
    let step = codes(secret, "")?.check(&code, seconds)?;
    i64::try_from(step).ok()
}

fn codes(secret: &TotpSecret, name: &str) -> Option<Totp> {
    let codes = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_skew(WINDOW)
        .with_step_duration(STEP)
        .with_secret(secret.0.clone())
        .with_issuer(Some(ISSUER))
        .with_account_name(name);
    codes.build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the secret of SHA-1.
    fn published() -> TotpSecret {
        TotpSecret(b"12345678901234567890".to_vec())
    }

    fn at(seconds: i64) -> Stamp {
        Stamp(seconds * 1_000_000)
    }

    #[test]
    fn codes_are_those_that_the_standard_publishes() {
        // Appendix B has eight digits; codes of six are their last six.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(step_of(&published(), code, at(seconds)), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_good_one_step_early_and_one_step_late() {
        let good = |seconds| step_of(&published(), "081804", at(seconds));
        let step = 1_111_111_109 / 30;
        let begins = step * 30;
        assert_eq!(good(begins - 31), None);
        assert_eq!(good(begins - 30), Some(step));
        assert_eq!(good(begins + 59), Some(step));
        assert_eq!(good(begins + 60), None);
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let now = at(1_111_111_109);
        assert!(step_of(&published(), "081 804", now).is_some());
        for bad in ["", "81804", "081805", "0081804", "+81804", "08180٤", &"0".repeat(1_000_000)] {
            assert_eq!(step_of(&published(), bad, now), None);
        }
        assert_eq!(step_of(&TotpSecret(vec![1, 2]), "081804", now), None);
        assert_eq!(step_of(&published(), "081804", at(-5)), None);
    }

    #[test]
    fn a_secret_is_read_as_it_is_written() {
        let secret = random();
        let written = text(&secret);
        assert_eq!(written.len(), 32);
        assert!(parse(&written).is_some_and(|read| read.0 == secret.0));
        let spaced = format!("{} {}", &written[..16].to_lowercase(), &written[16..]);
        assert!(parse(&spaced).is_some_and(|read| read.0 == secret.0));
        assert!(parse("not base32!").is_none());
    }

    #[test]
    fn an_app_reads_the_uri() {
        let uri = uri(&published(), "Dr. Müller: North").expect("a URI");
        let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        assert!(uri.starts_with("otpauth://totp/Lobar:Dr"), "{uri}");
        assert!(uri.contains(&format!("secret={secret}")) && uri.contains("issuer=Lobar"), "{uri}");
        assert_eq!(random().0.len(), 20);
        assert!(super::uri(&TotpSecret(vec![1]), "a").is_err());
    }
}
