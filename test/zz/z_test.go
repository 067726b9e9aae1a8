package zz
import ("testing";"time";"github.com/countersign/countersign/test/harness";"github.com/countersign/countersign/standin")
func TestX(t *testing.T){
 for range 4 { s:=time.Now(); p,_:=standin.NewProvider(standin.Google); t.Log("provider",time.Since(s)); p.Close() }
 harness.Engines(t, func(t *testing.T,e harness.Engine){ for range 4 { s:=time.Now(); w:=harness.New(t,e); t.Log("world",time.Since(s)); s=time.Now(); w.SignedIn("a","1"); t.Log("signin",time.Since(s)); s=time.Now(); w.StopAll(); t.Log("stop",time.Since(s)) } })
}
