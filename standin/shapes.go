package standin

// Person is somebody with an account at a provider.
type Person struct {
	Subject      string // the provider's name for them
	Email        string
	Name         string
	HostedDomain string // Google Workspace: hd
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
