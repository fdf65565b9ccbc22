import 'package:shelf/shelf.dart';
import 'package:shelf/shelf_io.dart' as io;

Future<void> main() async {
  await io.serve((Request request) => Response.ok('Hello'), '0.0.0.0', 8090);
}
