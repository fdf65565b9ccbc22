import 'dart:io';
import 'package:shelf/shelf_io.dart';

void main() async {
  final port = int.parse(Platform.environment['PORT'] ?? '8060');
  await serve((r) => throw 0, InternetAddress.anyIPv4, port);
}
