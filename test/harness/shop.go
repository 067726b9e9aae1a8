package harness

// The names of the world's configuration.
const (
	ClientID       = "com.example.todo" // native, dpop allowed, google + apple + corp
	BoundClientID  = "com.example.bank" // native, dpop required, google
	OtherClientID  = "com.example.other"
	BrowserID      = "todo-spa"
	WebID          = "todo-web" // confidential, client_secret_basic, third party
	OwnID          = "todo-own" // the same, first party
	TVID           = "todo-tv"  // device grant
	PostID         = "todo-post"
	ServiceID      = "nightly"
	ResourceID     = "todo-api"
	Audience       = "https://api.example.com"
	OtherResource  = "mail-api"
	OtherAudience  = "https://mail.example.com"
	WebSecret      = "web-secret-0123456789abcdef0123456789"
	PostSecret     = "post-secret-0123456789abcdef0123456789"
	ServiceSecret  = "service-secret-0123456789abcdef01234567"
	ResourceSecret = "resource-secret-0123456789abcdef0123456"
	OtherSecret    = "other-resource-secret-0123456789abcdef0"
	GoogleWeb      = "web.example" // audience of Google tokens
	GoogleAndroid  = "android.example"
)

const providersYAML = `
providers:
  - {name: google, type: google, client_id: web.example, client_secret_file: ./provider.secret, standin: %[1]q}
  - {name: apple, type: apple, client_id: com.example.web, team_id: %[2]q, key_id: %[3]q, private_key_file: ./apple.p8, standin: %[4]q}
  - {name: corp, type: oidc, issuer: %[5]q, client_id: countersign, client_secret_file: ./provider.secret}
  - {name: microsoft, type: microsoft, client_id: entra.example, client_secret_file: ./provider.secret, standin: %[6]q}
  - {name: github, type: github, client_id: Iv1.example, client_secret_file: ./provider.secret, standin: %[7]q}
%[8]sresources:
  - {id: todo-api, audience: "https://api.example.com", scopes: [todos.read, todos.write], secret_file: ./resource.secret}
  - {id: mail-api, audience: "https://mail.example.com", scopes: [mail.read], secret_file: ./other.secret}
`

const clientsYAML = `clients:
  - id: com.example.todo
    name: Todo
    type: native
    dpop: allowed
    providers:
      - {name: google, audiences: [web.example], azp: [ios.example, android.example]}
      - {name: apple, audiences: [com.example.todo]}
      - {name: corp, audiences: [mobile]}
    redirect_uris: ["com.example.todo:/cb", "http://127.0.0.1/cb", "https://todo.example/app"]
    email: true
    passkeys: true
    resources: [todo-api, mail-api]
    scopes: [openid, profile, email, offline_access, todos.read, todos.write, mail.read, account.read, account.manage]
  - id: com.example.bank
    type: native
    dpop: required
    providers: [{name: google, audiences: [bank.example]}]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - id: com.example.other
    type: native
    providers: [{name: google, audiences: [other.example]}]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - id: todo-spa
    type: browser
    origins: ["https://todo.example"]
    providers: [{name: google, audiences: [web.example]}, {name: corp}]
    redirect_uris: ["https://todo.example/spa"]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read, account.read]
  - id: todo-web
    type: web
    secret_file: ./web.secret
    name: Todo for the web
    providers: [{name: google, audiences: [web.example]}, {name: apple}, {name: corp}, {name: microsoft}, {name: github}]
    email: true
    passkeys: true
    redirect_uris: ["https://todo.example/cb", "https://todo.example/cb?with=query"]
    post_logout_redirect_uris: ["https://todo.example/bye"]
    client_uri: https://todo.example
    policy_uri: https://todo.example/privacy
    tos_uri: https://todo.example/terms
    resources: [todo-api]
    scopes: [openid, profile, email, offline_access, todos.read]
  - id: todo-own
    type: web
    secret_file: ./web.secret
    first_party: true
    providers: [{name: google}, {name: corp}]
    redirect_uris: ["https://own.example/cb"]
    resources: [todo-api]
    scopes: [openid, profile, email, offline_access, todos.read]
  - id: todo-tv
    name: Todo on TV
    type: native
    device_grant: true
    providers: [{name: google}, {name: corp}]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - id: todo-post
    type: web
    auth_method: client_secret_post
    secret_file: ./post.secret
    providers: [{name: google, audiences: [web.example]}]
    resources: [todo-api]
    scopes: [openid, offline_access, todos.read]
  - {id: nightly, type: service, secret_file: ./service.secret, resources: [todo-api], scopes: [todos.read]}
`
