"""Serves OHIF on a port of the loopback address, and Lobar's /dicom-web beside it, as a reverse proxy before both does.

usage: ohif.py FOLDER PORT LOBAR TOKEN ROOT

LOBAR is its host and port. ROOT is the address of DICOMweb that OHIF asks: `/dicom-web` for the proxy, or Lobar's own.
"""

import functools
import http.client
import http.server
import json
import pathlib
import sys

folder, port, lobar, token, root = sys.argv[1:]

# What docs/dicom-web.md says of OHIF's settings. The token is a constant here; who signs in by OpenID Connect has OHIF's
# own settings for it.
CONFIGURATION = """
window.config = {
  routerBasename: '/',
  modes: [],
  showStudyList: true,
  investigationalUseDialog: { option: 'never' },
  extensions: [{
    id: 'bearer',
    preRegistration: ({ servicesManager }) => {
      // For the test: where OHIF has drawn what.
      window.services = servicesManager.services;
      servicesManager.services.userAuthenticationService.setServiceImplementation({
        getAuthorizationHeader: () => ({ Authorization: `Bearer ${TOKEN}` }),
      });
    },
  }],
  defaultDataSourceName: 'lobar',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
    sourceName: 'lobar',
    configuration: {
      friendlyName: 'Lobar',
      qidoRoot: ROOT,
      wadoRoot: ROOT,
      qidoSupportsIncludeField: true,
      supportsFuzzyMatching: false,
      supportsWildcard: true,
      imageRendering: 'wadors',
      thumbnailRendering: 'wadors',
      enableStudyLazyLoad: true,
      omitQuotationForMultipartRequest: false,
    },
  }],
};
"""


class Viewer(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/app-config.js":
            constants = f"const TOKEN = {json.dumps(token)}, ROOT = {json.dumps(root)};"
            body = f"{constants}{CONFIGURATION}".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        if path.startswith("/dicom-web/"):
            self.forward()
            return
        # The addresses of its views are those of one page.
        if not pathlib.Path(folder, path.lstrip("/")).is_file():
            self.path = "/index.html"
        super().do_GET()

    def forward(self):
        lobars = http.client.HTTPConnection(lobar)
        lobars.putrequest("GET", self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            lobars.putheader(name, value)
        lobars.endheaders()
        answer = lobars.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        lobars.close()

    def end_headers(self):
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()


Viewer.extensions_map[".wasm"] = "application/wasm"
handler = functools.partial(Viewer, directory=folder)
http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), handler).serve_forever()
