package pages

// What the golden files show: every page with all it can have, and with as little as it can.

var shop = ClientView{
	Name: "Bluebird Books", LogoURL: "/clients/bluebird/logo", HomeURL: "https://bluebird.example/",
	PolicyURL: "https://bluebird.example/privacy", TermsURL: "https://bluebird.example/terms",
}

var full = Common{
	Lang: "en", Client: shop, FlowID: "fl_0123456789abcdef",
	FormTargets: []string{"https://bluebird.example", "com.example.bluebird:"}, Notice: "notice.too_many",
}

var bare = Common{Lang: "en"}

// A client that nobody answers for.
var stranger = Common{Lang: "en", FlowID: "fl_0123456789abcdef", Client: ClientView{
	Name: "Harbour Helper", LogoURL: "/logo/harbour?v=1",
	Unverified: &Unverified{Server: "login.example", Document: "harbour.example", Returns: "harbour.example"},
}}

var strangerOnDevice = Common{Lang: "en", FlowID: "fl_0123456789abcdef", Client: ClientView{
	Name: "Harbour Helper", Unverified: &Unverified{Server: "login.example", Returns: "127.0.0.1", App: true},
}}

type sample struct {
	name string
	page Page
}

func samples() []sample {
	quiet := full
	quiet.Notice = ""
	return []sample{
		{"login", Login{Common: full, Providers: everyProvider, Email: true, EmailValue: "ada@example.com", Passkeys: true, PasskeyOptions: `{"publicKey":{"challenge":"AAAA"}}`}},
		{"login_again", Login{Common: quiet, Providers: everyProvider[:1], Email: true, Reauth: true}},
		{"login_signed_in", Login{Common: quiet, Providers: everyProvider[:2], Email: true, SignedInAs: "ada@example.com"}},
		{"login_bare", Login{Common: bare, Providers: everyProvider[4:]}},
		{"login_unverified", Login{Common: stranger, Providers: everyProvider[:1], Email: true}},
		{"consent_unverified", Consent{Common: strangerOnDevice, Account: "ada@example.com", Scopes: everyScope[:2]}},
		{"email_code", EmailCode{Common: quiet, Email: "ada@example.com", ResendIn: 30, CodeLength: 6, Error: "notice.code_wrong"}},
		{"email_code_bare", EmailCode{Common: bare, Email: "ada@example.com"}},
		{"continue", Continue{Common: quiet, Account: "ada@example.com"}},
		{"consent", Consent{Common: quiet, Account: "ada@example.com", Scopes: everyScope, Resources: []string{"https://api.bluebird.example"}}},
		{"consent_device", Consent{Common: quiet, Account: "ada@example.com", Scopes: everyScope[:2], Device: true, UserCode: "WDJB-MJHT"}},
		{"consent_details", Consent{Common: quiet, Account: "ada@example.com", Scopes: everyScope[:1], Resources: []string{"https://api.bluebird.example"}, Details: everyDetail}},
		{"device_code", DeviceCode{Common: full, UserCode: "WDJB-MJHT", Error: "notice.user_code_wrong"}},
		{"device_code_bare", DeviceCode{Common: bare}},
		{"device_allowed", DeviceDone{Common: quiet, Allowed: true}},
		{"device_denied", DeviceDone{Common: bare}},
		{"error", Error{Common: quiet, Code: "access_denied", Detail: "The app sent a redirect_uri that is not registered.", RequestID: "R3QU3ST", RestartURL: "/authorize/again", BackURL: "com.example.bluebird:/callback?error=access_denied"}},
		{"error_bare", Error{Common: bare, Code: "server_error"}},
		{"logout_confirm", LogoutConfirm{Common: quiet, Account: "ada@example.com", Clients: []string{"Bluebird Books", "Harbour Mail"}, Fields: []Field{{"client_id", "bluebird"}, {"post_logout_redirect_uri", "https://bluebird.example/bye"}}}},
		{"logout_confirm_bare", LogoutConfirm{Common: bare}},
		{"logout_done", LogoutDone{Common: quiet, ReturnURL: "https://bluebird.example/bye"}},
		{"logout_kept", LogoutDone{Common: quiet, Kept: true}},
		{"logout_done_bare", LogoutDone{Common: bare}},
		{"form_post", FormPost{Common: quiet, Action: "https://bluebird.example/cb", Fields: []Field{{"code", "cs_ac_1"}, {"state", "xyz"}, {"iss", "https://login.example"}}}},
		{"passkey_offer", PasskeyOffer{Common: quiet, Options: `{"publicKey":{"challenge":"AAAA"}}`}},
	}
}

var everyProvider = []ProviderButton{
	{Name: "google", Label: "Google", Type: "google"},
	{Name: "apple", Label: "Apple", Type: "apple"},
	{Name: "microsoft", Label: "Microsoft", Type: "microsoft"},
	{Name: "github", Label: "GitHub", Type: "github"},
	{Name: "facebook", Label: "Facebook", Type: "facebook"},
	{Name: "line", Label: "LINE", Type: "line"},
	{Name: "discord", Label: "Discord", Type: "discord"},
	{Name: "gitlab", Label: "GitLab", Type: "gitlab"},
	{Name: "harbour", Label: "Harbour ID", Type: "oidc", URL: "/federation/harbour/start"},
}

var everyScope = []ScopeLine{
	{Name: "openid", Required: true, Checked: true},
	{Name: "email", Checked: true},
	{Name: "offline_access"},
	{Name: "books:read", Checked: true},
	{Name: "books:write", Text: "Change your shelves"},
}

var everyDetail = []DetailBox{
	{Type: "payment", Title: "Pay an invoice", Lines: []DetailLine{
		{Path: "payment.amount", Name: "amount", Lines: []DetailLine{
			{Path: "payment.amount.currency", Name: "currency", Text: "EUR"},
			{Path: "payment.amount.value", Name: "value", Text: "123.50"},
		}},
		{Path: "payment.creditor", Name: "creditor", Text: `<script>alert(1)</script> & "Sons"`},
		{Path: "payment.instant", Name: "instant", Word: "details.yes"},
		{Path: "payment.note", Name: "note", Text: "first line\nsecond line"},
		{Path: "payment.actions", Name: "actions", Common: true, Lines: []DetailLine{
			{Path: "payment.actions", Text: "initiate"}, {Path: "payment.actions", Text: "status"},
		}},
	}},
	{Type: "account_information", Lines: []DetailLine{
		{Path: "account_information.privileges", Name: "privileges", Common: true, Word: "details.empty"},
		{Path: "account_information.locations", Name: "locations", Common: true, Lines: []DetailLine{
			{Path: "account_information.locations", Text: "https://api.bluebird.example"},
		}},
	}},
	{Type: "bare"},
}
