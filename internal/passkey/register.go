package passkey

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"
)

// Credential is a new passkey. The caller stores ID (unique, for ever) and Record as they are, and SignCount where a
// statement can compare it.
type Credential struct {
	ID             []byte
	Record         json.RawMessage // what FinishLogin needs of it
	SignCount      uint32
	AAGUID         string // the make, as 8-4-4-4-12 hex; all zero where it is not told. Unproven: nothing attests it
	BackupEligible bool   // synced between a person's devices, so one lost phone does not lose it
	Transports     []string
}

const (
	maxTransports     = 8
	maxTransportBytes = 32
	minRSABits        = 2048
	maxRSABits        = 4096 // an RSA check costs the square of its length; nothing that makes passkeys has longer keys
)

// BeginRegistration returns the options for the browser (PublicKeyCredentialCreationOptionsJSON, the value of
// `publicKey`) and the state to keep for FinishRegistration. exclude lists the ids of the account's passkeys, so that
// one authenticator does not hold two.
func (v *Verifier) BeginRegistration(now time.Time, u User, exclude [][]byte) (options json.RawMessage, kept []byte, err error) {
	excluded := make([]protocol.CredentialDescriptor, len(exclude))
	for i, id := range exclude {
		excluded[i] = protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: id}
	}
	creation, session, err := v.rp.BeginRegistration(holder{user: u},
		webauthn.WithCredentialParameters(slices.Clone(offered)), webauthn.WithExclusions(excluded))
	if err != nil {
		return nil, nil, fmt.Errorf("begin passkey registration: %w", err)
	}
	return encode(now, creation.Response, state{Kind: kindCreate, Challenge: session.Challenge, Handle: u.Handle})
}

// FinishRegistration judges the browser's answer (RegistrationResponseJSON). The caller has made sure that the state
// is one of its own, belongs to this browser and has not been used.
func (v *Verifier) FinishRegistration(now time.Time, kept, response []byte) (*Credential, error) {
	s, err := recall(kept, kindCreate, now)
	if err != nil {
		return nil, err
	}
	if err := v.checkForm(response, s, "attestationObject"); err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return nil, verdict(err)
	}
	if err := checkStatement(&parsed.Response.AttestationObject); err != nil {
		return nil, err
	}
	made, err := v.rp.CreateCredential(holder{user: User{Handle: s.Handle}}, webauthn.SessionData{
		Challenge: s.Challenge, RelyingPartyID: v.RPID(), UserID: s.Handle,
		UserVerification: protocol.VerificationRequired, CredParams: offered,
	}, parsed)
	if err != nil {
		return nil, verdict(err)
	}
	return newCredential(made)
}

// checkStatement accepts what "none" leaves: no statement, or the self-signed one a client may pass on because it tells
// nothing (§5.1.3, attestation conveyance). The other formats are some thousand lines of certificates and TPM
// structures nobody asked for; they are not reached.
func checkStatement(a *protocol.AttestationObject) error {
	switch protocol.AttestationFormat(a.Format) {
	case protocol.AttestationFormatNone:
		return nil
	case protocol.AttestationFormatPacked:
		if _, certified := a.AttStatement["x5c"]; !certified {
			return nil
		}
	}
	return invalid("an attestation was sent that nobody asked for")
}

func newCredential(made *webauthn.Credential) (*Credential, error) {
	if len(made.ID) == 0 {
		return nil, invalid("the credential id is empty")
	}
	alg, err := checkKey(made.PublicKey)
	if err != nil {
		return nil, err
	}
	r := record{Version: recordVersion, Key: made.PublicKey, Alg: alg, BackupEligible: made.Flags.BackupEligible,
		BackupState: made.Flags.BackupState}
	raw, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write passkey record: %w", err)
	}
	transports, err := names(made.Transport)
	if err != nil {
		return nil, err
	}
	return &Credential{
		ID: made.ID, Record: raw, SignCount: made.Authenticator.SignCount, AAGUID: aaguid(made.Authenticator.AAGUID),
		BackupEligible: made.Flags.BackupEligible, Transports: transports,
	}, nil
}

// checkKey reads the COSE key now, not at the first sign-in: "none" has no signature that would have shown it to work.
func checkKey(cose []byte) (alg int64, err error) {
	key, err := webauthncose.ParsePublicKey(cose)
	if err != nil {
		return 0, verdict(err)
	}
	switch k := key.(type) {
	case webauthncose.EC2PublicKeyData:
		alg = k.Algorithm
	case webauthncose.OKPPublicKeyData:
		alg = k.Algorithm
	case webauthncose.RSAPublicKeyData:
		if bits := new(big.Int).SetBytes(k.Modulus).BitLen(); bits < minRSABits || bits > maxRSABits {
			return 0, invalid("the RSA key has %d bits", bits)
		}
		alg = k.Algorithm
	default:
		return 0, invalid("the key is of a kind that was not offered")
	}
	if !slices.ContainsFunc(offered, func(p protocol.CredentialParameter) bool { return int64(p.Algorithm) == alg }) {
		return 0, invalid("algorithm %d was not offered", alg)
	}
	return alg, nil
}

// names bounds what the client says of its transports: it is a hint, shown to nobody and believed by nothing.
func names(transports []protocol.AuthenticatorTransport) ([]string, error) {
	if len(transports) > maxTransports {
		return nil, invalid("%d transports", len(transports))
	}
	list := make([]string, len(transports))
	for i, t := range transports {
		if len(t) > maxTransportBytes {
			return nil, invalid("a transport of %d bytes", len(t))
		}
		list[i] = string(t)
	}
	return list, nil
}

func aaguid(b []byte) string {
	h := hex.EncodeToString(b)
	if len(h) != 32 {
		return ""
	}
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
