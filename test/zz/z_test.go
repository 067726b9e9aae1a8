package zz
import ("testing";"os";"strings";"path/filepath";"github.com/countersign/countersign/test/harness")
func TestX(t *testing.T){
 w:=harness.New(t,harness.SQLite); w.SignedIn("a","1"); w.Admin()
 d:=filepath.Dir(strings.TrimPrefix(w.Database,"sqlite:"))
 ls:=func(){ es,_:=os.ReadDir(d); for _,e:=range es { i,_:=e.Info(); t.Log(e.Name(),i.Size()) } }
 ls(); w.StopAll(); t.Log("stopped"); ls()
}
