package standin

// Person is somebody with an account at a provider.
type Person struct {
	Subject      string // the provider's name for them: sub; Microsoft's oid, a GUID; GitHub's id, a number; Facebook's and Discord's id, digits
	Email        string
	Name         string
	HostedDomain string // Google Workspace: hd

	Username              string // what they type on the provider's page; GitHub shows it as login
	GivenName, FamilyName string
	Picture, Locale       string
	UnverifiedEmail       bool
	PrivateEmail          bool   // Apple: the address is a relay's
	Tenant                string // Microsoft: tid; empty: MicrosoftTenant
	DomainVerified        bool   // Microsoft: xms_edov
}

// GoogleAndroid is the id_token of Android's Credential Manager: the audience is the *web* client, the Android
// client is only azp.
func GoogleAndroid(webClient, androidClient string, who Person) TokenRequest {
	return TokenRequest{
		Audience: webClient, AZP: androidClient,
		Subject: who.Subject, Email: who.Email, Name: who.Name, HostedDomain: who.HostedDomain,
	}
}

// GoogleIOS is the id_token of GoogleSignIn for iOS: the audience is the server client where the app names one
// (GIDServerClientID) and the iOS client otherwise; an access token comes along, hence at_hash.
func GoogleIOS(serverClient, iosClient string, who Person) TokenRequest {
	if serverClient == "" {
		serverClient = iosClient
	}
	t := GoogleAndroid(serverClient, iosClient, who)
	t.AccessToken = true
	return t
}

// AppleNative is what Sign in with Apple gives an iOS app: the audience is the bundle id, an authorization code comes
// along, and the name only the first time.
func AppleNative(bundleID string, who Person) TokenRequest {
	return TokenRequest{
		Audience: bundleID, Subject: who.Subject, Email: who.Email, Name: who.Name,
		AuthorizationCode: true, RealUserStatus: 2,
	}
}

// OpenIDNative is the id_token of a generic OpenID provider for a mobile client.
func OpenIDNative(client string, who Person) TokenRequest {
	return TokenRequest{Audience: client, Subject: who.Subject, Email: who.Email, Name: who.Name}
}

// MicrosoftNative is the id_token of MSAL for a mobile client.
func MicrosoftNative(client string, who Person) TokenRequest { return who.token(client) }

// FacebookLimited is the AuthenticationToken of Limited Login, which Facebook's SDK for iOS gives where tracking was not
// allowed. The access token of its other login is no token of this kind: it says nothing to anybody but Facebook.
func FacebookLimited(appID string, who Person) TokenRequest { return who.token(appID) }

// LINENative is the id_token of LINE's SDKs and of LIFF: ES256, the audience is the channel id.
func LINENative(channelID string, who Person) TokenRequest { return who.token(channelID) }

// token is an id_token with all that is known of a person.
func (who Person) token(client string) TokenRequest {
	return TokenRequest{
		Audience: client, Subject: who.Subject, Email: who.Email, UnverifiedEmail: who.UnverifiedEmail,
		PrivateEmail: who.PrivateEmail, Name: who.Name, GivenName: who.GivenName, FamilyName: who.FamilyName,
		Picture: who.Picture, Locale: who.Locale, HostedDomain: who.HostedDomain,
		Tenant: who.Tenant, DomainVerified: who.DomainVerified,
	}
}
